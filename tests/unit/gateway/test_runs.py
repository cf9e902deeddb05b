"""Runs behind the API: over a store in memory, with a controller that is played."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import TypeVar

import pytest

from services.gateway.backend import StoreBackend
from services.messages import ControllerStatus
from tests.unit.gateway.test_backend import KEYS, NAME, NOW, SPEC, FakeCluster, FakePredictor
from tests.unit.runs.test_runs import Played
from tornio.api import ScoreRequest, TaskName
from tornio.errors import Conflict, Forbidden, NotFound, Unavailable
from tornio.schemas.runs import RunPlan
from tornio.storage import documents
from tornio.storage.memory import MemoryStore
from tornio.tasks import Tasks

pytestmark = pytest.mark.unit

T = TypeVar("T")
ASKED = ScoreRequest(data="s3://bucket/data.csv")


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    Tasks(store).apply(SPEC, "test")
    return store


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def backend(store: MemoryStore, cluster: FakeCluster) -> StoreBackend:
    return StoreBackend(store, cluster, FakePredictor(), clock=lambda: NOW)


def run(call: Awaitable[T]) -> T:
    async def and_what_it_left() -> T:
        done = await call
        await asyncio.sleep(0)
        return done

    return asyncio.run(and_what_it_left())


def test_a_run_that_is_asked_for_is_written_down_and_the_controller_is_told(
    backend: StoreBackend, store: MemoryStore, cluster: FakeCluster
) -> None:
    first = run(backend.runs.start(NAME, ASKED, "ci"))
    assert (first.state, first.attempt, first.asked_by, first.asked_at) == ("waiting", 0, "ci", NOW)
    assert cluster.nudged == [NAME]
    plan, _ = documents.load(store, KEYS.run(first.run).plan, RunPlan)
    assert plan.args["files"][0]["uri"] == ASKED.data
    again = run(backend.runs.start(NAME, ASKED, "somebody else"))
    assert again == first
    acts = run(backend.audit.newest(NAME.workspace, 10)).events
    assert [(act.who, act.outcome) for act in acts if act.act == "start-run"] == [("ci", "done")]
    other = run(backend.runs.start(NAME, ASKED.model_copy(update={"folds": 5}), "ci"))
    assert {one.run for one in run(backend.runs.newest(NAME, 10))} == {first.run, other.run}
    assert len(run(backend.runs.newest(NAME, 1))) == 1
    assert len(run(backend.runs.newest(NAME, 10, "score"))) == 2
    assert run(backend.runs.newest(NAME, 10, "simulate")) == []


def test_a_run_tells_how_far_it_is_and_what_it_came_to(backend: StoreBackend, store: MemoryStore) -> None:
    asked = run(backend.runs.start(NAME, ASKED, "ci"))
    plan, _ = documents.load(store, KEYS.run(asked.run).plan, RunPlan)
    played = Played(store, plan, KEYS.run(asked.run))
    played.start(1)
    played.tell(1, 4)
    now = run(backend.runs.get(NAME, asked.run))
    assert now.progress is not None
    assert (now.state, now.progress.done, now.progress.total, now.output) == ("running", 4, 9, None)
    played.finish(1)
    done = run(backend.runs.get(NAME, asked.run))
    assert (done.state, done.progress, done.output) == ("done", None, {"rows": 9})
    with pytest.raises(Conflict, match="done already"):
        run(backend.runs.cancel(NAME, asked.run, "ci"))


def test_what_keeps_a_run_from_going_on_is_told(backend: StoreBackend, cluster: FakeCluster) -> None:
    asked = run(backend.runs.start(NAME, ASKED, "ci"))
    assert isinstance(cluster.controller, ControllerStatus)
    cluster.controller = replace(cluster.controller, runs={asked.run: "Ray's job API does not answer"})
    assert run(backend.runs.get(NAME, asked.run)).why == "Ray's job API does not answer"
    cluster.controller = Unavailable("it starts")
    assert "which starts runs, does not answer: it starts" in (run(backend.runs.newest(NAME, 5))[0].why or "")


def test_a_run_is_cancelled_while_the_controller_is_away(backend: StoreBackend, cluster: FakeCluster) -> None:
    asked = run(backend.runs.start(NAME, ASKED, "ci"))
    cluster.controller = Unavailable("it starts")
    assert run(backend.runs.cancel(NAME, asked.run, "ci")).state == "cancelled"


def test_what_cannot_be_asked_for_is_refused_before_anything_is_written(
    backend: StoreBackend, store: MemoryStore, cluster: FakeCluster
) -> None:
    cluster.controller = Forbidden("it is in the bucket of Tornio itself")
    with pytest.raises(Forbidden):
        run(backend.runs.start(NAME, ASKED, "ci"))
    with pytest.raises(NotFound, match="support/missing"):
        run(backend.runs.start(TaskName("support", "missing"), ASKED, "ci"))
    with pytest.raises(NotFound, match="support/missing"):
        run(backend.runs.newest(TaskName("support", "missing"), 5))
    assert not list(store.list(KEYS.runs))
