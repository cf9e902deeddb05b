"""Which records annotators may still be asked about: the one answer for queries and for counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tornio.labels.automatic import standing_labels
from tornio.labels.events import EventKind, LabelEvent
from tornio.pool.view import PoolView
from tornio.schemas.task import Batch
from tornio.spec import TaskSpec
from tornio.tasks.holdout import reserved_records
from tornio.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Askable:
    """Rows of the view, ascending. ``open_rows``: a query strategy may pick them. ``reserve_rows``: held out."""

    open_rows: tuple[int, ...]
    reserve_rows: tuple[int, ...]


def askable(
    task: Task,
    view: PoolView,
    events: Iterable[LabelEvent],
    batches: Iterable[Batch],
    spec: TaskSpec | None = None,
    lapsed: Collection[str] = (),
    generation: int = 1,
) -> Askable:
    """Return the records of the view that are in none of the batches and have no event, the first of each text.

    So each text is asked once, under whichever id, and a text that was imported is never asked. An automatic label
    does not keep a text that is held out from people: only they judge. That of a version keeps other texts from them
    until it is withdrawn. ``spec``: its hold-out share counts; None means the current spec. ``lapsed``: records whose
    label was removed. They are asked again, unless a batch of this ``generation`` has them. A batch of an earlier one
    keeps nothing back, because annotators have left its data set.
    """
    events = tuple(events)
    share = (spec or task.spec).loop.holdout_share
    held = reserved_records(view, events, task.document.holdout_key, share)
    closed = {
        one.record_id
        for one in events
        if not one.of_version and (one.event is not EventKind.AUTO or one.record_id not in held)
    }
    closed -= set(lapsed)
    closed |= {item.record_id for batch in batches if batch.generation >= generation for item in batch.items}
    closed |= {name for (_, name), label in standing_labels(events).items() if not label.lapsed} - held
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
