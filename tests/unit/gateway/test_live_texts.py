"""Sampled live texts come into the pool of a task as users' texts do: once, audited, and the controller hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from services.gateway.backend import StoreBackend
from services.gateway.live_texts import WHO
from tests.unit.gateway.test_backend import FakeCluster, FakePredictor
from tornio.api import DeleteIn, TaskName
from tornio.audit import AuditLog
from tornio.errors import NotFound
from tornio.records import Record
from tornio.spec import FeedbackSpec, TaskSpec
from tornio.storage.memory import MemoryStore
from tornio.tasks import Tasks
from tornio.tasks.live import live_record

pytestmark = pytest.mark.unit
NAME = TaskName("acme", "reviews")
FEEDBACK = FeedbackSpec(share=0.5, per_day=100_000)


class House:
    """A gateway over a store in memory, and another process that changes specs."""

    def __init__(self, feedback: FeedbackSpec | None = FEEDBACK) -> None:
        self.store, self.cluster = MemoryStore(), FakeCluster()
        self.wants(feedback)
        self.now = datetime.now(UTC) + timedelta(days=1)  # a day on which nothing was added
        self.now = self.now.replace(hour=12, minute=0, second=0, microsecond=0)
        self.backend = StoreBackend(self.store, self.cluster, FakePredictor(), clock=lambda: self.now)

    def wants(self, feedback: FeedbackSpec | None) -> None:
        Tasks(self.store).apply(TaskSpec(workspace="acme", name="reviews", labels=("a", "b"), feedback=feedback), "me")

    def add(self, texts: Sequence[str]) -> Mapping[str, int]:
        """Return the outcomes that any text had, once everything has run that was left behind."""

        async def add() -> Mapping[str, int]:
            outcome = await self.backend.live_texts.add(NAME, texts)
            await asyncio.sleep(0)
            return outcome

        self.cluster.nudged.clear()
        return {name: count for name, count in asyncio.run(add()).items() if count}

    def pool(self) -> list[str]:
        return list(Tasks(self.store).open(*NAME).view().texts)


def test_texts_are_added_once_with_a_line_in_the_audit_log() -> None:
    house = House()
    assert house.add(["one", "two", "One"]) == {"added": 2, "known": 1}
    assert sorted(text.lower() for text in house.pool()) == ["one", "two"]
    assert house.cluster.nudged == [NAME]
    assert house.add(["ONE", "two"]) == {"known": 2}
    assert house.cluster.nudged == []
    (event,) = AuditLog(house.store, "acme").newest(10).events
    assert (event.who, event.task, event.detail["added"]) == (WHO, "reviews", 2)
    assert asyncio.run(house.backend.status(NAME)).live_texts == 2


def test_a_text_of_the_pool_under_another_id_is_known() -> None:
    house = House()
    task = Tasks(house.store).open(*NAME)
    task.add_records([Record("mine", "One")])
    assert house.add(["one"]) == {"known": 1}
    assert house.cluster.nudged == []


def test_a_deleted_text_does_not_come_back() -> None:
    house = House()
    house.add(["one", "two"])
    asyncio.run(house.backend.delete_records(NAME, DeleteIn(record_ids=[live_record("one").record_id]), "me"))
    assert house.add(["one", "ONE"]) == {"deleted": 1, "known": 1}
    assert asyncio.run(house.backend.status(NAME)).live_texts == 1


def test_the_limit_is_that_of_the_day_so_far() -> None:
    house = House(FeedbackSpec(share=1, per_day=4))
    assert house.add(["one", "two", "three"]) == {"added": 2, "beyond-limit": 1}, "at noon"


def test_only_what_the_spec_says_now_counts() -> None:
    house = House()
    assert asyncio.run(house.backend.live_texts.policy(NAME)) == FEEDBACK
    house.wants(None)
    assert house.add(["one"]) == {"switched-off": 1}
    assert asyncio.run(house.backend.live_texts.policy(NAME)) is None
    assert house.pool() == []


def test_a_task_that_is_gone_is_not_found() -> None:
    house = House()
    with pytest.raises(NotFound):
        asyncio.run(house.backend.live_texts.add(TaskName("acme", "gone"), ["one"]))
