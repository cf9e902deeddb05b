"""Live texts that come into the pool: their ids, which of them the pool takes, and how many a day."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from tornio.pool import PoolView, record_problem
from tornio.records import Record, default_record_id, text_digest
from tornio.tasks.task import Task

LIVE = "live-"
"""How the ids of live texts begin."""
Sample = Callable[[Sequence[Record], int], Sequence[Record]]
"""``random.sample``: draws records without replacement."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What may come into the pool, and how many texts are left out.

    ``known``: the pool has the live text, or it is here twice. ``deleted``: it was deleted from the task.
    ``refused``: no pool accepts it. ``beyond``: the day's limit is reached.
    """

    records: tuple[Record, ...]
    known: int = 0
    deleted: int = 0
    refused: int = 0
    beyond: int = 0


def live_record(text: str) -> Record:
    """Return the record of a live text. The id follows from the normalised text, so the same text is one record."""
    return Record(f"{LIVE}{text_digest(text)[:32]}", text)


def allowance(per_day: int, added: int, now: datetime) -> int:
    """Return how many texts may be added now. ``added``: those of this day (UTC) so far.

    The limit is spread over the day, so that the texts are not all of the first minutes after midnight.
    """
    passed = (now - _midnight(now)) / timedelta(days=1)
    return max(0, math.ceil(per_day * passed) - added)


def added_on(view: PoolView, day: datetime) -> int:
    """Return how many live texts came into the pool on this day (UTC), deleted ones included."""
    start, count = _midnight(day), 0
    for part in reversed(view.parts):
        times = part.table["added_at"].to_pylist()
        if not times or times[-1] < start:
            break
        count += sum(
            record_id.startswith(LIVE) and start <= at < start + timedelta(days=1)
            for record_id, at in zip(part.record_ids, times, strict=True)
        )
    return count


def choose_live(
    task: Task, texts: Sequence[str], per_day: int, now: datetime, sample: Sample = random.sample
) -> Chosen:
    """Return which live texts may come into the pool. What a person deleted does not come back.

    Deleted texts are known by their ids as live texts and as texts without an id, and before a purge by the text.
    """
    fit = [text for text in texts if record_problem(Record(LIVE, text)) is None]
    records = {record.record_id: record for record in map(live_record, fit)}
    view, deleted = task.view(), task.labels.read().deleted
    gone = task.pool.deleted_texts()
    kept = [
        record
        for record in records.values()
        if record.record_id not in deleted
        and default_record_id(record.text) not in deleted
        and text_digest(record.text) not in gone
    ]
    new = [record for record in kept if record.record_id not in view]
    allowed = min(len(new), allowance(per_day, added_on(view, now), now))
    return Chosen(
        tuple(sample(new, allowed)),
        known=len(fit) - len(records) + len(kept) - len(new),
        deleted=len(records) - len(kept),
        refused=len(texts) - len(fit),
        beyond=len(new) - allowed,
    )


def _midnight(now: datetime) -> datetime:
    return datetime.combine(now.astimezone(UTC).date(), time(), UTC)
