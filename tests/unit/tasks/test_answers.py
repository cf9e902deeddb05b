"""What each annotator said of the texts that train."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest

from tests.unit.tasks.sample import task_of
from tornio.labels.events import EventKind, LabelEvent
from tornio.records import Purpose
from tornio.spec import TaskSpec
from tornio.tasks import reserve
from tornio.tasks.answers import ENOUGH, Answered, select_answered

pytestmark = pytest.mark.unit

SPEC = TaskSpec.model_validate(
    {"workspace": "w", "name": "t", "labels": ["a", "b"], "annotation": {"min_submitted": 2, "consensus": "crowdlab"}}
)
TASK = task_of(SPEC)
VIEW = TASK.pool.read()
HELD = sorted(reserve(TASK, VIEW, ()))
OPEN = [name for name in VIEW.record_ids if name not in HELD]


def event(
    record_id: str,
    annotator: str | None,
    label: str = "a",
    kind: EventKind = EventKind.ANSWER,
    purpose: Purpose = Purpose.QUERY,
) -> LabelEvent:
    when = datetime(2026, 1, 1, tzinfo=UTC)
    labels = (label,) if label else ()
    return LabelEvent(
        kind, record_id, labels, 1, "argilla", annotator=annotator, response_updated_at=when, purpose=purpose
    )


def selected(events: Iterable[LabelEvent]) -> Answered:
    return select_answered(VIEW, events, SPEC, TASK.document.holdout_key)


def test_votes_are_by_text_and_annotator() -> None:
    one, other = OPEN[:2]
    found = selected([event(other, "ben", "b"), event(other, "cas", "b"), event(one, "ada"), event(one, "cas", "b")])
    assert found.record_ids == (one, other)
    assert found.texts == tuple(VIEW.texts[row] for row in VIEW.rows_of((one, other)))
    assert found.votes.tolist() == [[0, -1, 1], [-1, 1, 1]], "the first is disputed"
    assert found.several == 2
    assert found.lacking == ENOUGH - 2


@pytest.mark.parametrize(
    "events",
    [
        [event(HELD[0], who, purpose=Purpose.HOLDOUT) for who in ("ada", "ben")],
        [event(OPEN[0], "ada", purpose=Purpose.HOLDOUT), event(OPEN[0], "ben", purpose=Purpose.HOLDOUT)],
        [event(OPEN[0], "ada")],
        [event(OPEN[0], "ada"), event(OPEN[0], "ben"), event(OPEN[0], "cas", kind=EventKind.CORRECTION)],
        [event(OPEN[0], "ada"), event(OPEN[0], "ben"), event(OPEN[0], None, "", EventKind.TOMBSTONE)],
        [event(OPEN[0], None, kind=EventKind.IMPORT)],
        [event(OPEN[0], "ada", "", EventKind.DISCARD), event(OPEN[0], "ben", "", EventKind.DISCARD)],
        [event(OPEN[0], "ada", "gone"), event(OPEN[0], "ben", "gone")],
        [event("unknown", "ada"), event("unknown", "ben")],
    ],
    ids=[
        "held out",
        "asked as hold-out",
        "too few",
        "corrected",
        "deleted",
        "imported",
        "discarded",
        "label",
        "record",
    ],
)
def test_texts_that_annotators_do_not_decide_on_are_left_out(events: list[LabelEvent]) -> None:
    found = selected(events)
    assert len(found) == 0
    assert found.votes.shape == (0, 0)
    assert found.lacking == ENOUGH
