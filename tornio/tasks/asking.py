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
    """The records of the view that are in none of the batches and that no event speaks of, whatever it says, the
    first of each text: a text is asked once, one that was imported never, under whichever id. ``spec``: default the
    current one; its hold-out share counts."""
    events = tuple(events)
    share = (spec or task.spec).loop.holdout_share
    held = reserved_records(view, events, task.document.holdout_key, share)
    closed = {item.record_id for batch in batches for item in batch.items} | {event.record_id for event in events}
    digests = list(view.text_digests)
    seen = {digest for record_id, digest in zip(view.record_ids, digests, strict=True) if record_id in closed}
    left = list[tuple[int, bool]]()
    for row, (record_id, digest) in enumerate(zip(view.record_ids, digests, strict=True)):
        if digest not in seen:
            seen.add(digest)
            left.append((row, record_id in held))
    return Askable(
        open_rows=tuple(row for row, reserved in left if not reserved),
        reserve_rows=tuple(row for row, reserved in left if reserved),
    )
