"""How far annotators are with a batch: the one count for the loop and for the status."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tornio.labels.events import LabelEvent
from tornio.labels.resolve import annotators_done, deleted_records


@dataclass(frozen=True, slots=True)
class Progress:
    """Records that count, and how many of them are finished. A discard is an answer."""

    total: int
    answered: int


def live_records(record_ids: Iterable[str], events: Mapping[str, Collection[LabelEvent]]) -> list[str]:
    """Return the records that the label log does not report as deleted. ``events``: the events of each record."""
    return [record_id for record_id in record_ids if not deleted_records(events.get(record_id, ()))]


def is_open(events: Collection[LabelEvent], needed: int) -> bool:
    """Whether annotators still have to answer a record with these events. ``needed``: see ``batch_progress``."""
    return not deleted_records(events) and annotators_done(events) < needed


def batch_progress(
    record_ids: Iterable[str],
    events: Mapping[str, Collection[LabelEvent]],
    needed: int,
    deleted: Collection[str] = (),
) -> Progress:
    """Return the progress of a batch with these records.

    ``events``: the events of each record. ``needed``: how many annotators must answer a record. ``deleted``: records
    that were deleted in the annotation tool. Deleted records, there or in the log, count in neither number.
    """
    live = [record_id for record_id in live_records(record_ids, events) if record_id not in deleted]
    return Progress(len(live), sum(annotators_done(events.get(record_id, ())) >= needed for record_id in live))
