"""The audit log in the bucket."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio import audit
from tornio.audit import AuditLog
from tornio.schemas import keys
from tornio.schemas.audit import Act, Outcome
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def written(acts: list[str]) -> tuple[MemoryStore, AuditLog]:
    """A log in which a second lies between two acts. ``acts``: the task of each, oldest first."""
    log = AuditLog(store := MemoryStore(), "acme")
    for second, task in enumerate(acts):
        begun = log.begin(Act.PAUSE, "ann", task, {"number": second}, NOW + timedelta(seconds=second))
        log.end(begun, Outcome.DONE, {}, NOW)
    return store, log


def numbers(log: AuditLog, most: int, task: str | None = None) -> list[list[object]]:
    """The pages of the log."""
    pages: list[list[object]] = []
    after = None
    while True:
        page = log.newest(most, task, after)
        pages.append([event.detail["number"] for event in page.events])
        if (after := page.next) is None:
            return pages


def test_an_act_is_written_before_and_after() -> None:
    log = AuditLog(MemoryStore(), "acme")
    begun = log.begin(Act.ROLLBACK, "ann", "support", {"asked": 1}, NOW)
    assert log.newest(9).events == (begun,)
    assert (begun.outcome, begun.ended_at) == (Outcome.BEGUN, None)
    ended = log.end(begun, Outcome.REFUSED, {"revision": 2}, NOW + timedelta(seconds=1), "Conflict")
    assert log.newest(9).events == (ended,)
    assert (ended.who, ended.act, ended.at, ended.detail) == ("ann", "rollback", NOW, {"asked": 1, "revision": 2})
    assert (ended.outcome, ended.error) == ("refused", "Conflict")


def test_pages_lead_from_the_newest_act_to_the_oldest() -> None:
    _, log = written(["support"] * 5)
    assert numbers(log, 2) == [[4, 3], [2, 1], [0]]
    assert numbers(log, 5) == [[4, 3, 2, 1, 0]]


def test_the_acts_on_one_task_are_those_that_a_task_of_a_similar_name_does_not_have() -> None:
    _, log = written(["a-b", "a", "a-b", "b", "a-b"])
    assert numbers(log, 2, "a-b") == [[4, 2], [0]]
    assert numbers(log, 2, "b") == [[3]]
    assert numbers(log, 2, "none") == [[]]


def test_a_look_is_bounded_and_says_where_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MAX_KEYS", 4)
    store, log = written(["rare", *["busy"] * 4])
    assert numbers(log, 3, "rare") == [[], [], [0]]
    got: list[str] = []
    store.before = lambda operation, key: got.append(operation)
    log.newest(3, "rare")
    assert got == ["list"]


@given(st.lists(st.datetimes(datetime(2020, 1, 1), datetime(2200, 1, 1)), min_size=2))
def test_keys_are_in_the_order_of_time_backwards(moments: list[datetime]) -> None:
    aware = sorted((moment.replace(tzinfo=UTC) for moment in moments), reverse=True)
    names = [keys.audit_id(moment, "t", "a") for moment in aware]
    assert names == sorted(names)
