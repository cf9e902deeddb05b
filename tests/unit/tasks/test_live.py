"""Live texts that come into the pool: their ids, what is left out, and how many a day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.records import Record, default_record_id
from tornio.spec import TaskSpec
from tornio.storage.memory import MemoryStore
from tornio.tasks import Chosen, Task, Tasks, choose_live, delete_records
from tornio.tasks.live import added_on, allowance, live_record

pytestmark = pytest.mark.unit
MIDNIGHT = datetime(2026, 11, 29, tzinfo=UTC)
MANY = 1_000_000


def first(records: Sequence[Record], count: int) -> Sequence[Record]:
    return records[:count]


def task_of() -> Task:
    tasks = Tasks(MemoryStore())
    tasks.apply(TaskSpec(workspace="acme", name="reviews", labels=("good", "bad")), "a test")
    return tasks.open("acme", "reviews")


def chosen(task: Task, texts: Sequence[str], per_day: int = MANY, now: datetime | None = None) -> Chosen:
    return choose_live(task, texts, per_day, now or datetime.now(UTC), first)


def test_an_id_names_the_source_and_one_text_is_one_record() -> None:
    task = task_of()
    found = chosen(task, ["Fine!", "fine!  ", "bad"])
    assert [record.text for record in found.records] == ["fine!  ", "bad"]
    assert found.known == 1
    assert all(record.record_id.startswith("live-") for record in found.records)
    task.add_records(found.records, duplicates=False)
    assert chosen(task, ["FINE!"]) == Chosen((), known=1)
    task.add_records([Record("mine", "another text")])
    again = chosen(task, ["Another text"]).records
    assert task.add_records(again, duplicates=False).added == 0, "the pool has the text under another id"


@pytest.mark.parametrize("record_id", ["mine", None, live_record("a secret").record_id])
def test_a_deleted_text_does_not_come_back(record_id: str | None) -> None:
    task = task_of()
    name = record_id or default_record_id("a secret")
    task.add_records([Record(name, "a secret")])
    delete_records(task, [name], "a test")
    assert chosen(task, ["a secret", "no secret"]) == Chosen((live_record("no secret"),), deleted=1)


def test_texts_that_no_pool_accepts_are_left_out_alone() -> None:
    found = chosen(task_of(), ["", "half \ud800", "nul \x00", "fine"])
    assert ([record.text for record in found.records], found.refused) == (["fine"], 3)


def test_the_limit_counts_what_every_replica_added_this_day() -> None:
    task = task_of()
    task.add_records([Record("mine", "not live"), live_record("one"), live_record("two")])
    day = task.view().parts[-1].table["added_at"].to_pylist()[-1]
    late = day.replace(hour=23, minute=59, second=59)
    assert added_on(task.view(), day) == 2
    assert added_on(task.view(), day + timedelta(days=1)) == 0
    assert added_on(task.view(), day - timedelta(days=1)) == 0
    found = chosen(task, ["three", "four", "five"], per_day=4, now=late)
    assert (len(found.records), found.beyond) == (2, 1)
    delete_records(task, [live_record("one").record_id], "a test")
    assert added_on(task.view(), day) == 2, "a deletion gives no room for others"


@given(
    per_day=st.integers(1, 500),
    seconds=st.lists(st.integers(0, 86_399), max_size=40),
    offered=st.integers(0, 300),
)
def test_a_day_never_has_more_than_its_limit_and_is_not_spent_in_the_morning(
    per_day: int, seconds: list[int], offered: int
) -> None:
    added = 0
    for second in sorted(seconds):
        added += min(offered, allowance(per_day, added, MIDNIGHT + timedelta(seconds=second)))
        assert added <= per_day
        assert added <= per_day * second / 86_400 + 1
    assert allowance(per_day, 0, MIDNIGHT + timedelta(hours=23, minutes=59, seconds=59)) == per_day
