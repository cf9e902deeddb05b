"""Labels that exist already: they go into the pool and the label log."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from uuid import uuid4

from tornio.api import LabelIn, RecordIn
from tornio.errors import InvalidInput
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.log import LabelLog
from tornio.pool import Pool, PoolView
from tornio.records import Purpose, Record, default_record_id, text_digest
from tornio.spec import TaskSpec
from tornio.tasks.holdout import auto_labelled_texts, judging_texts, training_texts

Item = tuple[Record, Sequence[str]]
_SHOWN = 10
"""Most rows that an error names."""
_ALLOWED_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Imported:
    """The result of an import.

    ``unchanged``: labels that the record's latest import gave already. ``records_added``: texts that were new to the
    pool. ``label_seq``: the part of the log that was written; None means that nothing was written. ``trains`` and
    ``seen`` count hold-out labels: those that were left out because their text trains, and those whose text had an
    automatic label, on which a version of before may have been trained. ``judges``: training labels that were left out
    because their text is hold-out. ``replaced``: labels that stand in place of others of an earlier import.
    ``deleted``: labels that were left out because their record was deleted from the task.
    """

    imported: int
    unchanged: int
    records_added: int
    label_seq: int | None
    trains: int = 0
    seen: int = 0
    judges: int = 0
    replaced: int = 0
    deleted: int = 0


def new_record(given: RecordIn | LabelIn) -> Record:
    """Return the record that a user gave. Without an id it gets one that follows from its text."""
    return Record(given.record_id or default_record_id(given.text), given.text, given.metadata)


def match_records(pool: PoolView, labels: Sequence[LabelIn]) -> list[Item]:
    """Return the record and the labels of each import.

    A label without a record id belongs to the first record of the pool with the same text, if the pool has one.
    """
    rows: dict[str, int] = {}
    if any(label.record_id is None for label in labels):
        rows = {digest: row for row, digest in reversed(list(enumerate(pool.text_digests)))}
    items: list[Item] = []
    for label in labels:
        row = None if label.record_id else rows.get(text_digest(label.text))
        record = new_record(label) if row is None else Record(pool.record_ids[row], pool.texts[row], label.metadata)
        items.append((record, label.labels))
    return items


def import_labels(
    pool: Pool,
    labels: LabelLog,
    spec: TaskSpec,
    label_set_rev: int,
    items: Sequence[Item],
    purpose: Purpose,
    source: str,
    request: str | None = None,
    kind: EventKind = EventKind.IMPORT,
    former: Mapping[str, str | None] = MappingProxyType({}),
) -> Imported:
    """Add the records to the pool, then their labels to the log. May be repeated.

    ``purpose``: QUERY labels train, and their texts leave the reserve, except those of texts that were answered or
    imported as hold-out: these are left out, so that an export that is imported again does not take the hold-out away.
    HOLDOUT labels judge, except those of texts that train already: these are left out, because they would train
    although the user means them to judge.
    ``source``: where the labels come from, such as ``import:seed.csv``. ``request``: an id of this import. An import
    that is sent again under the same id is not written again, whatever was imported since. None means a new id.
    ``kind``: AUTO for labels by a model, which train until somebody labels their text, and never judge.
    ``former``: what labels of before are called now, for the error.

    Raises InvalidInput, before anything is written, for labels that the task does not have, a wrong number of
    labels, or a record that is given twice with different labels.
    """
    _refuse(list(_problems(items, spec, former)), spec)
    log = labels.read()
    logged, asked = tuple(log), len(items)
    items = [item for item in items if item[0].record_id not in log.deleted]
    deleted = asked - len(items)
    trains = seen = judges = 0
    total, view = len(items), pool.read()
    if purpose is Purpose.HOLDOUT:
        items = _without(items, training_texts(view, logged))
        trains = total - len(items)
        seen = len(items) - len(_without(items, auto_labelled_texts(view, logged)))
    elif kind is EventKind.IMPORT:
        items = _without(items, judging_texts(view, logged))
        judges = total - len(items)
    added = pool.append([record for record, _ in items])
    imported = {event.record_id: _content(event) for event in logged if event.event is kind}
    request = request or uuid4().hex
    events = {
        record.record_id: LabelEvent(
            kind,
            record.record_id,
            _ordered(given, spec),
            label_set_rev,
            source,
            purpose=purpose,
            origin=f"{request}#{row}",
        )
        for row, (record, given) in enumerate(items, 1)
    }
    new = [event for event in events.values() if imported.get(event.record_id) != _content(event)]
    replaced = sum(event.record_id in imported for event in new)
    seq = labels.append(new)
    return Imported(len(new), len(items) - len(new), added.added, seq, trains, seen, judges, replaced, deleted)


def _without(items: Sequence[Item], digests: Collection[str]) -> list[Item]:
    """Return the items whose text is none of these."""
    return [item for item in items if text_digest(item[0].text) not in digests]


def _content(event: LabelEvent) -> tuple[object, ...]:
    source = event.source if event.event is EventKind.AUTO else None  # of models the latest counts
    return (event.labels, event.purpose, event.label_set_rev, source)


def _ordered(given: Sequence[str], spec: TaskSpec) -> tuple[str, ...]:
    return tuple(name for name in spec.label_names if name in given)


def _problems(items: Sequence[Item], spec: TaskSpec, former: Mapping[str, str | None]) -> Iterator[str]:
    names, first = set(spec.label_names), dict[str, tuple[int, set[str]]]()
    for row, (record, given) in enumerate(items, 1):
        unknown = [name for name in given if name not in names]
        earlier, labels = first.setdefault(record.record_id, (row, set(given)))
        where = f"row {row} ({record.record_id[:80]!r})"
        if unknown:
            yield f"{where}: the task has no label {', '.join(_unknown(name, former) for name in unknown)}."
        elif not spec.multi_label and len(given) != 1:
            yield f"{where}: exactly one label is needed, found {len(given)}."
        elif len(set(given)) != len(given):
            yield f"{where}: a label is given twice."
        elif labels != set(given):
            yield f"{where}: row {earlier} gives the same record other labels. Leave one of them out."


def _unknown(name: str, former: Mapping[str, str | None]) -> str:
    if name not in former:
        return repr(name)
    return f"{name!r} any more ({'it was removed' if former[name] is None else f'now {former[name]!r}'})"


def _refuse(problems: Sequence[str], spec: TaskSpec) -> None:
    if not problems:
        return
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    allowed = ", ".join(spec.label_names[:_ALLOWED_SHOWN])
    if len(spec.labels) > _ALLOWED_SHOWN:
        allowed += f" and {len(spec.labels) - _ALLOWED_SHOWN} more"
    head = f"{len(problems)} of the rows cannot be imported, so none was imported:"
    raise InvalidInput("\n".join([head, *problems[:_SHOWN], *more, f"labels of {spec.full_name}: {allowed}"]))
