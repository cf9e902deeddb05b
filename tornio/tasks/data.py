"""The training set and the hold-out set of a task: pure functions of pool, label log, spec and hold-out key.

They are always the same for the same label-log sequence, pool sequence and spec revision.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tornio.labels.automatic import without_versions
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.resolve import Resolved, resolve_under
from tornio.pool.view import PoolView
from tornio.records import Purpose
from tornio.spec import TaskSpec
from tornio.tasks.holdout import reserved_records
from tornio.tasks.task import Task

Labels = tuple[tuple[str, ...], ...]
_SEEN_BY_PEOPLE = (EventKind.ANSWER, EventKind.CORRECTION)


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Sorted by record_id; ``labels`` of each record in the order of the task's labels."""

    record_ids: tuple[str, ...]
    texts: tuple[str, ...]
    labels: Labels

    def __len__(self) -> int:
        return len(self.record_ids)


@dataclass(frozen=True, slots=True)
class HoldoutSet:
    """Reserved records with a label, sorted by record_id.

    ``reserved``: the number of all reserved records, with a label or without. ``discarded``, ``disputed``: the number
    of reserved records that were asked and have no label. ``imported``: the labelled records whose label was imported;
    annotators labelled the others.
    """

    record_ids: tuple[str, ...]
    texts: tuple[str, ...]
    labels: Labels
    reserved: int
    discarded: int
    disputed: int
    imported: frozenset[str]

    def __len__(self) -> int:
        return len(self.record_ids)


@dataclass(frozen=True, slots=True)
class Undecided:
    """Numbers of records with answers that give no label.

    ``waiting``: fewer annotators than ``needed`` have answered. ``disputed``: no answer has more votes than the others.
    """

    waiting: int
    disputed: int
    needed: int


def count_undecided(events: Iterable[LabelEvent], spec: TaskSpec) -> Undecided:
    """Return how many records have answers and no label. A discard is an answer, and decides by itself."""
    resolved = _resolved(events, spec).values()
    return Undecided(
        waiting=sum(one.kind is None and one.annotators > 0 for one in resolved),
        disputed=sum(one.disputed for one in resolved),
        needed=spec.annotation.min_submitted,
    )


def select_training(view: PoolView, events: Iterable[LabelEvent], spec: TaskSpec, key: str) -> TrainingSet:
    """Return every record of the view with a label of this spec that is neither deleted nor held out.

    A hold-out answer of annotators never trains, even if an import has taken its text out of the reserve.
    """
    events = tuple(events)
    held = reserved_records(view, events, key, spec.loop.holdout_share)
    return TrainingSet(*_columns(view, _trained(view, _resolved(events, spec), held, spec)))


def unlabelled_rows(view: PoolView, events: Iterable[LabelEvent], spec: TaskSpec, key: str) -> list[int]:
    """Return the rows of the records that are neither held out, nor labelled for training, nor deleted, ascending.

    A copy of a text that is labelled for training is not among them either: it is no text without a label.
    A record that annotators were shown as hold-out is never among them, even where an import has since taken its text
    out of the reserve. ``key``: the task's hold-out key.
    """
    events = tuple(events)
    resolved = _resolved(events, spec)
    held = reserved_records(view, events, key, spec.loop.holdout_share)
    trained = [record_id for record_id, _ in _trained(view, resolved, held, spec)]
    digests = view.text_digests
    copied = {digests[row] for row in view.rows_of(trained).tolist()}
    return [row for row in _open_rows(view, _closed(resolved, held)) if digests[row] not in copied]


def adaptable_rows(view: PoolView, events: Iterable[LabelEvent], spec: TaskSpec, key: str) -> list[int]:
    """Return the rows of the records that are neither held out nor deleted, ascending: ``unlabelled_rows`` and those
    that are labelled for training."""
    events = tuple(events)
    held = reserved_records(view, events, key, spec.loop.holdout_share)
    return _open_rows(view, _closed(_resolved(events, spec), held))


def _closed(resolved: Mapping[str, Resolved], held: frozenset[str]) -> frozenset[str]:
    """Return the records that no training may see: those held out, those that were shown as such, and deleted ones."""
    return held | {record_id for record_id, one in resolved.items() if one.deleted or one.purpose is Purpose.HOLDOUT}


def _open_rows(view: PoolView, closed: Collection[str]) -> list[int]:
    return [row for row, record_id in enumerate(view.record_ids) if record_id not in closed]


def select_holdout(view: PoolView, events: Iterable[LabelEvent], spec: TaskSpec, key: str) -> HoldoutSet:
    """Return the reserved records of the view that people have labelled. Automatic labels do not judge."""
    events = tuple(events)
    resolved = _resolved(events, spec)
    held = [
        (record_id, resolved.get(record_id, Resolved()))
        for record_id in sorted(reserved_records(view, events, key, spec.loop.holdout_share))
    ]
    held = [(record_id, truth) for record_id, truth in held if not truth.deleted]
    chosen = [
        (record_id, truth.labels)
        for record_id, truth in held
        if truth.labels is not None and truth.kind is not EventKind.AUTO and set(truth.labels) <= set(spec.label_names)
    ]
    return HoldoutSet(
        *_columns(view, chosen),
        reserved=len(held),
        discarded=sum(truth.discarded for _, truth in held),
        disputed=sum(truth.disputed for _, truth in held),
        imported=frozenset(name for name, _ in chosen if resolved[name].kind is EventKind.IMPORT),
    )


def reserve(task: Task, view: PoolView, events: Iterable[LabelEvent]) -> frozenset[str]:
    """Return the records of the view that are held out. See ``reserved_records``."""
    return reserved_records(view, events, task.document.holdout_key, task.spec.loop.holdout_share)


def training_set(
    task: Task, label_seq: int, pool_seq: int, spec: TaskSpec | None = None, spec_rev: int | None = None
) -> TrainingSet:
    """Return the training set of the task at these sequence numbers of log and pool.

    ``spec``: default the current one. ``spec_rev``: the revision whose labels it has; default the current one.

    Raises NotFound for a sequence number that is not reached.
    """
    events = task.label_view(label_seq, spec_rev).events  # first the log, so that the pool knows what was deleted
    view = task.pool.read(pool_seq)
    return select_training(view, events, spec or task.spec, task.document.holdout_key)


def holdout_set(
    task: Task, label_seq: int, pool_seq: int, spec: TaskSpec | None = None, spec_rev: int | None = None
) -> HoldoutSet:
    """Return the hold-out set of the task at these sequence numbers of log and pool.

    ``spec``: default the current one. ``spec_rev``: the revision whose labels it has; default the current one.

    Raises NotFound for a sequence number that is not reached.
    """
    events = task.label_view(label_seq, spec_rev).events  # first the log, so that the pool knows what was deleted
    view = task.pool.read(pool_seq)
    return select_holdout(view, events, spec or task.spec, task.document.holdout_key)


def training_labels(
    task: Task, view: PoolView, events: Iterable[LabelEvent], spec: TaskSpec | None = None
) -> dict[str, int]:
    """Return the number of training texts per label, with every label. ``spec``: default the current one."""
    spec = spec or task.spec
    return labels_of(select_training(view, events, spec, task.document.holdout_key), spec)


def labels_of(training: TrainingSet, spec: TaskSpec) -> dict[str, int]:
    """Return the number of texts per label, with every label. A text with several labels counts once for each."""
    return {name: sum(name in given for given in training.labels) for name in spec.label_names}


def _trained(
    view: PoolView, resolved: Mapping[str, Resolved], held: Collection[str], spec: TaskSpec
) -> list[tuple[str, tuple[str, ...]]]:
    """Return the records of the view that train, sorted by id, with their labels. ``held``: the records held out."""
    return [
        (record_id, truth.labels)
        for record_id, truth in sorted(resolved.items())
        if truth.labels is not None
        and record_id in view
        and record_id not in held
        and not (truth.purpose is Purpose.HOLDOUT and truth.kind in _SEEN_BY_PEOPLE)
        and set(truth.labels) <= set(spec.label_names)
    ]


def _resolved(events: Iterable[LabelEvent], spec: TaskSpec) -> Mapping[str, Resolved]:
    """Resolve what trains and judges. Automatic labels of versions count only where the spec lets them train."""
    return resolve_under(spec, events if spec.auto_label.train else without_versions(events))


def _columns(
    view: PoolView, chosen: list[tuple[str, tuple[str, ...]]]
) -> tuple[tuple[str, ...], tuple[str, ...], Labels]:
    record_ids = tuple(record_id for record_id, _ in chosen)
    texts = tuple(view.texts[row] for row in view.rows_of(record_ids).tolist())
    return record_ids, texts, tuple(labels for _, labels in chosen)
