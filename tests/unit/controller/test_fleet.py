"""Heartbeats: who is alive, who is ready, and when a new controller may believe that it has heard all."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from services.controller.aliases import AliasBoard
from services.controller.fleet import LISTEN_S, STALE_S, HeartbeatFleet
from services.messages import Aliases, HeldVersions
from tornio.schemas.trial import TrialCounts, TrialReport

pytestmark = pytest.mark.unit


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_new_controller_listens_before_it_believes() -> None:
    clock = Clock()
    fleet = HeartbeatFleet(clock)
    fleet.report("r1", {"w/t": HeldVersions(ready=("v1",))})
    assert fleet.replicas("w/t") == ()
    clock.now += LISTEN_S
    (replica,) = fleet.replicas("w/t")
    assert replica.ready == {"v1"}


def test_a_replica_that_falls_silent_is_gone() -> None:
    clock = Clock()
    fleet = HeartbeatFleet(clock)
    clock.now += LISTEN_S
    fleet.report("r1", {})
    clock.now += STALE_S - 0.1
    fleet.report("r2", {"w/t": HeldVersions(failed={"v2": "probes differ"})})
    assert [r.replica_id for r in fleet.replicas("w/t")] == ["r1", "r2"]
    clock.now += 1
    (replica,) = fleet.replicas("w/t")
    assert replica.failed == {"v2": "probes differ"}


def test_only_the_tasks_with_news_are_named() -> None:
    fleet = HeartbeatFleet(Clock())
    one, two = HeldVersions(ready=("v1",)), HeldVersions(ready=("v1", "v2"))
    assert fleet.report("r1", {"w/a": one, "w/b": one}) == {"w/a", "w/b"}
    assert fleet.report("r1", {"w/a": one, "w/b": one}) == set()
    assert fleet.report("r1", {"w/a": one, "w/b": two}) == {"w/b"}
    assert fleet.report("r1", {"w/b": two}) == {"w/a"}
    assert fleet.report("r2", {"w/b": two}) == {"w/b"}, "what one replica says is news whatever another has said"


def test_who_knows_the_board_waits_for_a_change_and_who_does_not_is_told_at_once() -> None:
    async def story() -> None:
        board = AliasBoard("b")
        first = await board.wait(None, 60)
        waiting = asyncio.create_task(board.wait(first.token, 60))
        await asyncio.sleep(0)
        assert not waiting.done()
        board.post("w/t", Aliases(("v1", 1)))
        update = await waiting
        assert update.tasks["w/t"].current == ("v1", 1)
        board.post("w/t", update.tasks["w/t"])
        same = await board.wait(update.token, 0.01)
        assert same == update
        board.post("w/t", None)
        assert (await board.wait(update.token, 60)).tasks == {}
        assert (await AliasBoard("another").wait(update.token, 60)).token != update.token

    asyncio.run(story())


def test_the_counts_of_a_trial_add_up_over_replicas_and_those_that_have_gone_stay() -> None:
    clock, start = Clock(), datetime(2026, 11, 22, tzinfo=UTC)
    fleet = HeartbeatFleet(clock)

    def counted(replica: str, texts: int, version: str = "v2", at: datetime = start) -> set[str]:
        trial = TrialReport(version=version, started_at=at, counts=TrialCounts(texts=texts))
        return fleet.report(replica, {"w/t": HeldVersions(ready=("v1", "v2"), trial=trial)})

    assert counted("r1", 5)
    assert counted("r2", 2)
    assert not counted("r1", 7), "counts are no news"
    clock.now += STALE_S
    counted("r3", 1)
    assert fleet.tried("w/t", "v2", start).texts == 10
    assert fleet.tried("w/t", "v3", start) == TrialCounts()
    later = start + timedelta(hours=1)
    counted("r3", 4, "v3", later)
    counted("r2", 2)  # it has not heard of the new trial
    assert fleet.tried("w/t", "v3", later).texts == 4
    assert fleet.tried("w/t", "v2", start) == TrialCounts()
