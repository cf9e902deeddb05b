"""Runs that users ask for: whatever is killed, they end, and what was cancelled stays ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.running.port import RunPhase, RunStatus
from services.controller.runs import End, NoteFailure, RunKeeper, Start, Step, next_step
from tests.unit.runs.test_runs import KEYS, PLAN, Played
from tornio.errors import Unavailable
from tornio.runs import ATTEMPTS, RunReader, RunRecord, RunState, ask_for_run, cancel_run
from tornio.schemas.runs import RunAsk, RunFailure, RunPlan, RunStarted
from tornio.storage import documents
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ASK = RunAsk(run=PLAN.run, job="label", who="ops", asked_at=NOW)
CANCELLED = ASK.evolve(cancelled_by="ops", cancelled_at=NOW)
STARTED = RunStarted(run=PLAN.run, job="label", attempt=1, worker="w", started_at=NOW)
FAILED = RunFailure(run=PLAN.run, job="label", attempt=1, error="why", started_at=NOW, ended_at=NOW)
UNKNOWN = RunStatus(RunPhase.UNKNOWN)


def running(attempt: int) -> RunStatus:
    return RunStatus(RunPhase.RUNNING, attempt)


def record(ask: RunAsk | None, attempt: int = 0, failed: bool = False) -> RunRecord:
    return RunRecord(PLAN, ask, attempt, started=STARTED if attempt else None, failure=FAILED if failed else None)


@pytest.mark.parametrize(
    ("of", "status", "later_s", "step"),
    [
        (record(None, 1), UNKNOWN, 0, None),
        (record(ASK), UNKNOWN, 0, Start(1)),
        (record(ASK), running(1), 0, None),
        (record(ASK, 1), running(1), 0, None),
        (record(ASK, 1), UNKNOWN, 0, Start(1)),  # finds out that its worker is gone
        (record(ASK, 1), RunStatus(RunPhase.DONE, 1), 0, None),
        (record(ASK, 1), RunStatus(RunPhase.FAILED, 1, "exit code -9"), 0, NoteFailure(1, "exit code -9")),
        (record(ASK), RunStatus(RunPhase.FAILED, 1, "no room"), 0, NoteFailure(1, "no room")),
        (record(ASK, 1, failed=True), RunStatus(RunPhase.FAILED, 1, "why"), 1, None),
        (record(ASK, 1, failed=True), RunStatus(RunPhase.FAILED, 1, "why"), 2, Start(2)),
        (record(ASK, 1, failed=True), RunStatus(RunPhase.FAILED, 2, "no room"), 9, NoteFailure(2, "no room")),
        (record(ASK, ATTEMPTS, failed=True), UNKNOWN, 9999, None),
        (replace(record(ASK, 1), failure=FAILED.evolve(final=True)), UNKNOWN, 9999, None),
        (record(CANCELLED), UNKNOWN, 0, None),
        (record(CANCELLED), running(1), 0, End()),
        (record(CANCELLED, 1), running(1), 0, End()),
        (record(CANCELLED, 1), UNKNOWN, 0, End(NoteFailure(1, "ops cancelled it"))),
        (record(CANCELLED, 1, failed=True), UNKNOWN, 0, None),
        (record(ASK.evolve(after=1), 1, failed=True), running(1), 0, End()),  # from before
        (record(ASK.evolve(after=1), 1, failed=True), RunStatus(RunPhase.FAILED, 1, "why"), 0, Start(2)),
    ],
)
def test_what_a_run_needs_next(of: RunRecord, status: RunStatus, later_s: float, step: Step | None) -> None:
    assert next_step(of, status, NOW + timedelta(seconds=later_s)) == step


@dataclass
class Cluster:
    """A place of work whose jobs go on when a test says so, and which forgets them all when its head dies."""

    store: MemoryStore
    jobs: dict[int, str] = field(default_factory=dict)
    away: bool = False

    def submit(self, plan: RunPlan, attempt: int) -> None:
        self._answer()
        if any(known >= attempt for known in self.jobs):
            return
        self.jobs[attempt] = "pending"

    def status(self, plan: RunPlan) -> RunStatus:
        if self.away or not self.jobs:
            return UNKNOWN
        last = max(self.jobs)
        phases = {"failed": RunPhase.FAILED, "done": RunPhase.DONE}
        error = "its process is gone" if self.jobs[last] == "failed" else None
        return RunStatus(phases.get(self.jobs[last], RunPhase.RUNNING), last, error)

    def cancel(self, plan: RunPlan) -> None:
        self._answer()
        self.kill()

    def begin(self) -> None:
        """The process of each job gets as far as its first line; an attempt of another process is over."""
        for attempt, phase in self.jobs.items():
            if phase == "pending":
                begun = documents.find(self.store, KEYS.run(PLAN.run).started(attempt), RunStarted)
                if begun is None:
                    Played(self.store).start(attempt)
                    self.jobs[attempt] = "running"
                else:
                    Played(self.store).fail(attempt, "its worker ended in the middle")
                    self.jobs[attempt] = "failed"

    def finish(self) -> None:
        for attempt, phase in self.jobs.items():
            if phase == "running":
                Played(self.store).finish(attempt)
                self.jobs[attempt] = "done"

    def kill(self) -> None:
        """kill -9 of whatever runs."""
        alive = ("pending", "running")
        self.jobs = {attempt: "failed" if phase in alive else phase for attempt, phase in self.jobs.items()}

    def _answer(self) -> None:
        if self.away:
            raise Unavailable("the cluster is away")


class World:
    def __init__(self) -> None:
        self.store = MemoryStore()
        self.cluster = Cluster(self.store)
        self.now = NOW
        self.keeper = self.restart()

    def restart(self) -> RunKeeper:
        self.keeper = RunKeeper(self.store, KEYS, self.cluster, lambda: self.now)
        return self.keeper

    def ask(self) -> None:
        ask_for_run(self.store, PLAN, "ops", self.now)

    def cancel(self) -> None:
        cancel_run(self.store, "w", "t", PLAN.run, "ops", self.now)

    def look(self, seconds: float = 1.0, nudged: bool = False) -> bool:
        self.now += timedelta(seconds=seconds)
        return self.keeper.look(nudged)

    def record(self) -> RunRecord:
        return RunReader(self.store, "w", "t").run(PLAN.run)


def test_a_run_is_started_followed_and_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    assert not world.look()
    world.ask()
    assert not world.look()
    assert world.look(nudged=True)
    assert world.cluster.jobs == {1: "pending"}
    world.cluster.begin()
    assert world.look()
    world.cluster.finish()
    assert not world.look()
    reads: list[str] = []
    world.store.before = lambda operation, key: reads.append(operation)
    assert not world.look()
    assert reads == []
    assert not world.look(10)
    assert reads == ["list"]  # of the askings: what is over is not read again


def test_it_looks_no_oftener_than_it_should() -> None:
    world = World()
    world.ask()
    world.look()
    world.cluster.kill()
    world.look(0.1)
    assert world.record().failure is None
    world.look(1)
    assert world.record().error == "its process is gone"


def test_killed_again_and_again_it_is_given_up_and_asked_for_again_it_goes_on() -> None:
    world = World()
    world.ask()
    for attempt in range(1, ATTEMPTS + 1):
        world.look(60)
        assert max(world.cluster.jobs) == attempt
        world.cluster.begin()
        world.cluster.kill()
        world.look()
    assert not world.look(600)
    assert (world.record().state, world.record().error) == (RunState.FAILED, "its process is gone")
    world.ask()
    assert world.look(nudged=True)
    world.cluster.begin()
    world.cluster.finish()
    assert (world.record().state, world.record().attempt) == (RunState.DONE, ATTEMPTS + 1)


def test_a_head_that_is_lost_with_all_its_jobs_costs_an_attempt() -> None:
    world = World()
    world.ask()
    world.look()
    world.cluster.begin()
    world.cluster.jobs.clear()
    world.restart()
    world.look()
    assert world.cluster.jobs == {1: "pending"}
    world.cluster.begin()  # finds its own attempt begun by a process that is gone
    world.look()
    world.look(60)
    assert world.cluster.jobs == {1: "failed", 2: "pending"}


def test_a_cluster_that_is_away_is_told_and_waited_for() -> None:
    world = World()
    world.ask()
    world.cluster.away = True
    assert world.look()
    assert "away" in world.keeper.troubles[PLAN.run]
    world.cluster.away = False
    world.look()
    assert world.keeper.troubles == {}
    assert world.cluster.jobs == {1: "pending"}


def test_cancelled_while_the_cluster_is_away_it_is_ended_later() -> None:
    world = World()
    world.ask()
    world.look()
    world.cluster.begin()
    world.cancel()
    world.cluster.away = True
    assert world.look()
    assert world.cluster.jobs == {1: "running"}
    world.cluster.away = False
    for _ in range(2):  # ended, then written down
        assert world.look()
    assert not world.look()
    assert world.cluster.jobs == {1: "failed"}
    noted, _ = documents.load(world.store, KEYS.run(PLAN.run).failure(1), RunFailure)
    assert noted.error == "ops cancelled it"


def test_one_run_that_is_broken_does_not_stop_another() -> None:
    world = World()
    world.ask()
    world.store.put(KEYS.run_ask("label-broken"), b"{")
    world.store.put(KEYS.run("label-broken").plan, PLAN.encode())
    world.look()
    assert world.cluster.jobs == {1: "pending"}
    assert "not" in world.keeper.troubles["label-broken"]


ACTS: dict[str, Callable[[World], object]] = {
    "begin": lambda world: world.cluster.begin(),
    "kill": lambda world: world.cluster.kill(),
    "lose the head": lambda world: world.cluster.jobs.clear(),
    "new controller": lambda world: world.restart(),
    "look": lambda world: world.look(),
    "look later": lambda world: world.look(120),
    "away": lambda world: setattr(world.cluster, "away", True),
    "back": lambda world: setattr(world.cluster, "away", False),
}


@given(acts=st.lists(st.sampled_from(sorted(ACTS)), max_size=40), cancel=st.booleans())
def test_whatever_happens_it_ends_and_no_attempt_is_made_twice(acts: list[str], cancel: bool) -> None:
    world = World()
    world.ask()
    for act in acts:
        ACTS[act](world)
    world.cluster.away = False
    if cancel and not world.record().state.over:
        world.cancel()
    for _ in range(4 * ATTEMPTS):  # undisturbed from here on
        world.look(120)
        world.cluster.begin()
        if not cancel:
            world.cluster.finish()
    state = world.record().state
    assert state.over
    assert world.record().attempt <= ATTEMPTS
    assert "running" not in world.cluster.jobs.values()
    assert not world.look(120)
    if state is RunState.FAILED:
        assert world.record().error
