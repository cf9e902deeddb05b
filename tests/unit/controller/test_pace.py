"""How long tasks are left alone, and that nothing that was rung for is slept through."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.controller.activity import Activity
from services.controller.alarm import Alarm
from services.controller.keeper import Keeper, Watched
from services.controller.pace import BUSY_S, QUIET_S, SOON_S, STEADY_S, WATCH_S, next_pause, quiet_pause
from services.controller.reconciler import Look, Reconciler
from tests.unit.loop.world import World
from tornio.annotation.fake import FakeAnnotationTool
from tornio.annotation.port import DatasetSpec, OutgoingRecord
from tornio.loop.first import QUIET
from tornio.loop.phase import standing
from tornio.records import Purpose
from tornio.schemas.keys import TaskKeys
from tornio.schemas.loop import (
    AutoIntent,
    AutoLabelling,
    GateIntent,
    Lease,
    LoopState,
    OpenBatch,
    SwapIntent,
    TrainIntent,
)
from tornio.spec import LabelSpec, TaskSpec
from tornio.storage import documents
from tornio.storage.memory import MemoryStore
from tornio.tasks import Tasks

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TRAIN = TrainIntent(iteration=1, batches=("b",), label_seq=1, pool_seq=1, spec_rev=1, parent=None, started_at=NOW)
UNDER_WAY = (
    LoopState(train=TRAIN),
    LoopState(gate=GateIntent(train=TRAIN, version="v", rivals=(), current=None, current_revision=0)),
    LoopState(swap=SwapIntent(version="v", iteration=1, current_revision=0, why="", since=NOW)),
    LoopState(auto=AutoLabelling(intent=AutoIntent(version="v", label_seq=1, pool_seq=1, spec_rev=1, settings={},
                                                   holdout=0, pool=0))),
    LoopState(query_not_before=World().look().now + timedelta(seconds=50)),
)  # fmt: skip
AT_REST = (LoopState(), LoopState(batches=(OpenBatch(batch="b", opened_at=NOW),)))

still = st.floats(0, 1e6)


def look(state: LoopState, busy: bool = False, unsettled: bool = False) -> Look:
    seen = World().look()
    return Look(state, seen, standing(state, seen), busy, unsettled=unsettled)


@given(st.sampled_from(AT_REST + UNDER_WAY), st.booleans(), st.booleans(), still)
def test_no_task_is_left_alone_longer_than_its_bound(
    state: LoopState, busy: bool, unsettled: bool, still_s: float
) -> None:
    pause = next_pause(look(state, busy, unsettled), still_s)
    assert BUSY_S <= pause <= QUIET_S
    if busy:
        assert pause == BUSY_S
    if unsettled or state in UNDER_WAY or still_s < SOON_S:
        assert pause <= STEADY_S


@given(st.sampled_from(AT_REST + UNDER_WAY), st.lists(still, min_size=2, max_size=2))
def test_the_pause_never_shrinks_while_nothing_happens(state: LoopState, times: list[float]) -> None:
    pauses = [next_pause(look(state), still_s) for still_s in sorted(times)]
    assert pauses == sorted(pauses)
    assert quiet_pause(min(times)) <= quiet_pause(max(times))


def test_a_batch_that_was_just_answered_is_looked_at_often_and_a_quiet_task_once_a_minute() -> None:
    rest, batch = (look(state) for state in AT_REST)
    assert [next_pause(batch, still_s) for still_s in (0, 20, 39, 120, 240, 3600)] == [WATCH_S, 1.0, 1.95, 30, 60, 60]
    assert [next_pause(rest, still_s) for still_s in (0, 39, 120, 3600)] == [STEADY_S, STEADY_S, 30, 60]


def test_what_the_loop_decides_by_quiet_time_is_decided_before_a_task_counts_as_quiet() -> None:
    assert timedelta(seconds=SOON_S) >= 2 * QUIET


def test_a_ring_before_the_wait_ends_it_at_once_and_only_once() -> None:
    alarm = Alarm()
    alarm.ring()
    alarm.ring()
    assert alarm.wait(3600)
    assert not alarm.wait(0)


def test_no_ring_is_lost_however_it_meets_the_waits() -> None:
    """Each ring is for one more piece of work. One that is lost would leave work undone, and the worker asleep."""
    alarm, work, done = Alarm(), list[int](), list[int]()

    def worker() -> None:
        while len(done) < 2000:
            alarm.wait(3600)
            while work:
                done.append(work.pop())

    thread = threading.Thread(target=worker, daemon=True)
    thread.start()
    for number in range(2000):
        work.append(number)
        alarm.ring()
    thread.join(60)
    assert sorted(done) == list(range(2000))


def test_one_look_at_the_tool_names_the_tasks_with_new_answers() -> None:
    asked: list[str] = []
    tool = FakeAnnotationTool(before=asked.append)
    datasets = {("w", "a"): {"a"}, ("w", "b"): {"b", "b-G2"}, ("v", "c"): {"c"}}
    for workspace, name in (("w", "a"), ("w", "b"), ("w", "b-G2"), ("v", "c")):
        label = (LabelSpec(name="yes"), LabelSpec(name="no"))
        tool.ensure_dataset(DatasetSpec(workspace, name, label, False, "", 1))
        tool.log(workspace, name, [OutgoingRecord("r1", "text", "g1-b0001", Purpose.QUERY)])
    activity = Activity(tool)
    assert set(activity.moved(datasets)) == set(datasets), "all are new"
    assert activity.moved(datasets) == []
    tool.answer("w", "b-G2", "r1", "ann", ["yes"])
    asked.clear()
    assert activity.moved(datasets) == [("w", "b")]
    assert asked == ["activity"]
    assert activity.moved(datasets) == []
    tool.draft("v", "c", "r1", "ann", ["yes"])
    tool.delete_dataset("w", "a")
    assert set(activity.moved(datasets)) == {("v", "c"), ("w", "a")}
    del datasets["w", "a"]
    assert activity.moved(datasets) == []
    assert Activity(tool).moved({}) == []


def test_a_look_says_what_keeps_it_from_rest() -> None:
    calm = look(AT_REST[1])
    assert next_pause(calm, 600) == QUIET_S
    assert next_pause(replace(calm, unsettled=True), 600) == STEADY_S


def test_the_controller_of_a_quiet_task_says_in_the_lease_how_long_it_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    store, name, looked = MemoryStore(), ("acme", "support"), threading.Event()
    Tasks(store).apply(TaskSpec.model_validate({"workspace": "acme", "name": "support", "labels": ["a", "b"]}), "test")
    hour, found = timedelta(hours=1), look(LoopState())
    quiet = replace(found, seen=replace(found.seen, quiet=hour, pool_quiet=hour))
    monkeypatch.setattr(Reconciler, "look", lambda _: quiet)
    others = {name: Mock(name=name) for name in ("annotation", "runner", "fleet")}
    keeper = Keeper(store=store, holder="one", after_look=lambda _: looked.set(), **others)
    keeper.watched[name] = Watched(name, moved=time.monotonic() - 3600)
    keeper._watch(name)
    assert looked.wait(20)
    assert documents.load(store, TaskKeys(*name).lease, Lease)[0].rests_s == QUIET_S
    keeper.end()
