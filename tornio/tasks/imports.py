"""Labels that exist already, into pool and log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import uuid4

from tornio.errors import InvalidInput
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.log import LabelLog
from tornio.pool import Pool
from tornio.records import Purpose, Record
from tornio.spec import TaskSpec

Item = tuple[Record, Sequence[str]]
_SHOWN = 10
"""Rows that an error names."""
_ALLOWED_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the labels. ``unchanged``: the latest import said the same. ``records_added``: texts that the
    pool did not have. ``label_seq``: the part of the log that was written, none where nothing was."""

    imported: int
    unchanged: int
    records_added: int
    label_seq: int | None


def import_labels(
    pool: Pool,
    labels: LabelLog,
    spec: TaskSpec,
    label_set_rev: int,
    items: Sequence[Item],
    purpose: Purpose,
    source: str,
    request: str | None = None,
) -> Imported:
    """Add the records to the pool, then their labels to the log. May be repeated.

    ``purpose``: QUERY trains and takes the text out of the reserve, HOLDOUT judges. ``source``: where the labels
    come from, such as ``import:seed.csv``. ``request``: an id of this import; what is sent again under the same id
    is not written again, whatever was imported since. Default a new one.

    Raises InvalidInput, before anything is written, for labels that the task does not have, a wrong number of
    them, or a record that is given twice with different ones.
    """
    _refuse(list(_problems(items, spec)), spec)
    added = pool.append([record for record, _ in items])
    said = {event.record_id: _said(event) for event in labels.read() if event.event is EventKind.IMPORT}
    request = request or uuid4().hex
    events = {
        record.record_id: LabelEvent(
            EventKind.IMPORT,
            record.record_id,
            _ordered(given, spec),
            label_set_rev,
            source,
            purpose=purpose,
            origin=f"{request}#{row}",
        )
        for row, (record, given) in enumerate(items, 1)
    }
    new = [event for event in events.values() if said.get(event.record_id) != _said(event)]
    return Imported(len(new), len(items) - len(new), added.added, labels.append(new))


def _said(event: LabelEvent) -> tuple[object, ...]:
    return (event.labels, event.purpose, event.label_set_rev)


def _ordered(given: Sequence[str], spec: TaskSpec) -> tuple[str, ...]:
    return tuple(name for name in spec.label_names if name in given)


def _problems(items: Sequence[Item], spec: TaskSpec) -> Iterator[str]:
    names, first = set(spec.label_names), dict[str, tuple[int, set[str]]]()
    for row, (record, given) in enumerate(items, 1):
        unknown = [name for name in given if name not in names]
        earlier, labels = first.setdefault(record.record_id, (row, set(given)))
        where = f"row {row} ({record.record_id[:80]!r})"
        if unknown:
            yield f"{where}: the task has no label {', '.join(map(repr, unknown))}"
        elif not spec.multi_label and len(given) != 1:
            yield f"{where}: exactly one label is needed, found {len(given)}"
        elif len(set(given)) != len(given):
            yield f"{where}: a label is given twice"
        elif labels != set(given):
            yield f"{where}: row {earlier} gives the same record other labels: leave one of them out"


def _refuse(problems: Sequence[str], spec: TaskSpec) -> None:
    if not problems:
        return
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    allowed = ", ".join(spec.label_names[:_ALLOWED_SHOWN])
    if len(spec.labels) > _ALLOWED_SHOWN:
        allowed += f" and {len(spec.labels) - _ALLOWED_SHOWN} more"
    head = f"{len(problems)} of the rows cannot be imported, so none was:"
    raise InvalidInput("\n".join([head, *problems[:_SHOWN], *more, f"labels of {spec.full_name}: {allowed}"]))
