"""Who may still be asked: each text once, and only where nobody has said anything of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.unit.tasks.sample import task_of
from tornio.labels.events import EventKind, LabelEvent
from tornio.records import Purpose
from tornio.schemas.task import Batch, BatchItem
from tornio.spec import TaskSpec
from tornio.tasks import Task, askable, reserve

pytestmark = pytest.mark.unit

SPEC = TaskSpec.model_validate(
    {"workspace": "care", "name": "tickets", "labels": ["a", "b"], "loop": {"holdout_share": 0.2}}
)
NOW = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def task() -> Task:
    return task_of(SPEC)


def batch_of(*record_ids: str) -> Batch:
    items = tuple(BatchItem(record_id=record_id, purpose=Purpose.QUERY) for record_id in record_ids)
    return Batch(batch="g1-b0001", number=1, generation=1, dataset="tickets", items=items, strategy="x", run="q",
                 created_at=NOW)  # fmt: skip


def event(kind: EventKind, record_id: str, labels: tuple[str, ...] = ()) -> LabelEvent:
    if kind in (EventKind.ANSWER, EventKind.WITHDRAW):
        return LabelEvent(kind, record_id, labels, 1, "s", annotator="ann", response_id="1", response_updated_at=NOW)
    return LabelEvent(kind, record_id, labels, 1, "s")


def test_at_first_everybody_may_be_asked_and_the_reserve_apart(task: Task) -> None:
    view = task.pool.read()
    found = askable(task, view, (), ())
    held = reserve(task, view, ())
    assert held
    assert {view.record_ids[row] for row in found.reserve_rows} == held
    assert sorted(found.open_rows + found.reserve_rows) == list(range(60))
    assert list(found.open_rows) == sorted(found.open_rows)


@pytest.mark.parametrize("kind", [EventKind.IMPORT, EventKind.AUTO, EventKind.TOMBSTONE, EventKind.WITHDRAW])
def test_what_was_asked_or_spoken_of_is_not_asked_again(task: Task, kind: EventKind) -> None:
    view = task.pool.read()
    before = askable(task, view, (), ())
    asked, said, held = before.open_rows[0], before.open_rows[1], before.reserve_rows[0]
    events = [event(kind, view.record_ids[row], ("a",)) for row in (said, held)]
    after = askable(task, view, events, [batch_of(view.record_ids[asked])])
    assert set(before.open_rows) - set(after.open_rows) == {asked, said}
    still_asked = kind is EventKind.AUTO  # a label by a model does not judge, so that people are asked
    assert set(before.reserve_rows) - set(after.reserve_rows) == (set() if still_asked else {held})


def test_an_older_spec_reserves_as_it_did_then(task: Task) -> None:
    then = SPEC.model_copy(update={"loop": SPEC.loop.model_copy(update={"holdout_share": 0.5})})
    view = task.pool.read()
    now, before = askable(task, view, (), ()), askable(task, view, (), (), then)
    assert set(now.reserve_rows) < set(before.reserve_rows)


def test_a_batch_of_an_earlier_generation_keeps_nothing_back(task: Task) -> None:
    view = task.pool.read()
    row, other = askable(task, view, (), ()).open_rows[:2]
    batch = batch_of(view.record_ids[row], view.record_ids[other])
    answered = [event(EventKind.ANSWER, view.record_ids[other], ("a",))]
    assert row not in askable(task, view, answered, [batch]).open_rows
    left = askable(task, view, answered, [batch], generation=2).open_rows
    assert row in left, "nobody looks at its data set any more"
    assert other not in left
