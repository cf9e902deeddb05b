"""Who may still be asked: the one answer for what picks the next batch and for what counts what is left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tornio.labels.events import LabelEvent
from tornio.pool.view import PoolView
from tornio.schemas.task import Batch
from tornio.spec import TaskSpec
from tornio.tasks.holdout import reserved_records
from tornio.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Askable:
    """Rows of the view, ascending. ``open_rows``: a query strategy may pick them; ``reserve_rows``: held out, asked
    to judge."""

    open_rows: tuple[int, ...]
    reserve_rows: tuple[int, ...]


def askable(
    task: Task,
    view: PoolView,
    events: Iterable[LabelEvent],
    batches: Iterable[Batch],
    spec: TaskSpec | None = None,
) -> Askable:
    """The records of the view that are in none of the batches and that no event speaks of, whatever it says: a text
    is asked once, one that was imported never. ``spec``: default the current one; its hold-out share counts."""
    events = tuple(events)
    share = (spec or task.spec).loop.holdout_share
    held = reserved_records(view, events, task.document.holdout_key, share)
    closed = {item.record_id for batch in batches for item in batch.items} | {event.record_id for event in events}
    left = [(row, record_id in held) for row, record_id in enumerate(view.record_ids) if record_id not in closed]
    return Askable(
        open_rows=tuple(row for row, reserved in left if not reserved),
        reserve_rows=tuple(row for row, reserved in left if reserved),
    )
