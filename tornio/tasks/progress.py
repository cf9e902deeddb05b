"""How far annotators are with a batch: the one count for the loop and for the status."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.resolve import annotators_done


@dataclass(frozen=True, slots=True)
class Progress:
    """Records that count, and how many of them are finished. A discard is an answer."""

    total: int
    answered: int


def batch_progress(
    record_ids: Iterable[str],
    said: Mapping[str, Collection[LabelEvent]],
    needed: int,
    shown: Collection[str] | None = None,
) -> Progress:
    """Of the records of a batch, given the events of each and how many annotators are to answer.

    ``shown``: the records that the annotation tool still has, where that is known. What was deleted, here or in the
    tool, counts in neither number.
    """
    alive = [
        record_id
        for record_id in record_ids
        if (shown is None or record_id in shown)
        and all(event.event is not EventKind.TOMBSTONE for event in said.get(record_id, ()))
    ]
    return Progress(len(alive), sum(annotators_done(said.get(record_id, ())) >= needed for record_id in alive))
