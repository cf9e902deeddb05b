"""Which records one more annotator is asked about. Pure functions of batches, label log and spec."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tornio.labels.diff import answering
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.resolve import Resolved, annotators_of, by_record, resolve_under
from tornio.pool.view import PoolView
from tornio.schemas.task import Batch, BatchItem
from tornio.spec import TaskSpec
from tornio.tasks.holdout import is_reserved
from tornio.tasks.progress import is_open

MOST_AGAIN = 2
"""How often a record is asked again at most. Where two more annotators could not settle it, its text is unclear."""


def ask_again(
    view: PoolView, events: Iterable[LabelEvent], batches: Sequence[Batch], spec: TaskSpec, key: str, generation: int
) -> list[BatchItem]:
    """Return the records for one more annotator, disputed ones first, and then the oldest batch first.

    A record is asked again if annotators dispute it, or once if it is among those of ``annotation.overlap``; not while
    an earlier asking has no new answer, not more often than ``MOST_AGAIN``, and only if somebody who has answered in
    the task has not answered it yet. It keeps its purpose, and shows no suggestion. ``events``: with the labels of the
    ``generation``, in which the askings begin anew. ``key``: the task's hold-out key.
    """
    batches = sorted(batches, key=lambda batch: batch.number)
    first = dict[str, BatchItem]()
    for batch in batches:
        for item in batch.items:
            first.setdefault(item.record_id, item)
    asked_again = Counter(item.record_id for batch in _of(batches, generation) for item in batch.items if item.again)
    records = by_record(events)
    resolved = resolve_under(spec, (one for record_id in first for one in records.get(record_id, ())))
    people = answering(event for of_record in records.values() for event in of_record)
    wanted: list[tuple[bool, BatchItem]] = []
    for record_id, item in first.items():
        truth, row = resolved.get(record_id, Resolved()), view.row(record_id)
        again = 1 + asked_again[record_id]
        if row is None or again > MOST_AGAIN or not _all_answered(truth, spec, again):
            continue
        overlaps = again == 1 and _overlaps(key, view.text_digests[row], truth, spec)
        if (truth.disputed or overlaps) and people - annotators_of(records[record_id]):
            wanted.append((not truth.disputed, BatchItem(record_id=record_id, purpose=item.purpose, again=again)))
    return [item for _, item in sorted(wanted, key=lambda pair: pair[0])]


def waiting_again(
    batches: Iterable[Batch], events: Mapping[str, Sequence[LabelEvent]], needed: int, generation: int
) -> dict[str, int]:
    """Return how many records that were asked again in a generation have no new answer, by data set.

    ``events``: the events of each record. ``needed``: ``annotation.min_submitted``.
    """
    waiting: Counter[str] = Counter()
    for batch in _of(batches, generation):
        for item in batch.items:
            of_record = events.get(item.record_id, ())
            if item.again and is_open(of_record, needed + item.again):
                waiting[batch.dataset_of(item)] += 1
    return dict(waiting)


def _of(batches: Iterable[Batch], generation: int) -> list[Batch]:
    return [batch for batch in batches if batch.generation == generation]


def _all_answered(truth: Resolved, spec: TaskSpec, asked: int) -> bool:
    """Whether people decide on a record, and each asking has brought its answer. ``asked``: how often it was asked."""
    return truth.kind is EventKind.ANSWER and truth.annotators >= spec.annotation.min_submitted + asked - 1


def _overlaps(key: str, digest: str, truth: Resolved, spec: TaskSpec) -> bool:
    """Whether a record with just the answers that every record gets is drawn for one more."""
    annotation = spec.annotation
    drawn = annotation.overlap > 0 and is_reserved(f"{key} overlap", digest, annotation.overlap)
    return drawn and truth.annotators == annotation.min_submitted
