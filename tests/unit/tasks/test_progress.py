"""How far a batch is, as the loop and the status count it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tornio.labels.events import EventKind, LabelEvent
from tornio.tasks import Progress, batch_progress

pytestmark = pytest.mark.unit

NOW = datetime(2025, 1, 1, tzinfo=UTC)
BATCH = ("a", "b", "c", "d")


def by(who: str, record_id: str, kind: EventKind = EventKind.ANSWER) -> LabelEvent:
    return LabelEvent(kind, record_id, ("x",), 1, "s", annotator=who, response_id=who, response_updated_at=NOW)


EVENTS = {
    "a": [by("ann", "a")],
    "b": [by("ann", "b", EventKind.DISCARD), by("bob", "b")],
    "c": [by("ann", "c"), LabelEvent(EventKind.TOMBSTONE, "c", (), 1, "s")],
}


@pytest.mark.parametrize(
    ("needed", "shown", "progress"),
    [
        (1, None, Progress(3, 2)),
        (2, None, Progress(3, 1)),
        (1, {"b", "c", "d"}, Progress(2, 1)),
        (1, set[str](), Progress(0, 0)),
    ],
)
def test_what_is_deleted_counts_in_neither_number(needed: int, shown: set[str] | None, progress: Progress) -> None:
    deleted = set[str]() if shown is None else set(BATCH) - shown
    assert batch_progress(BATCH, EVENTS, needed, deleted) == progress
