"""Runs as their documents tell them: states, the newest, asked for, cancelled and asked for again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tornio.errors import Conflict, InvalidInput, NotFound
from tornio.runs import (
    ATTEMPTS,
    RunReader,
    RunState,
    ask_for_run,
    cancel_run,
    pause_after,
    run_out,
    workspaces_with_runs,
)
from tornio.schemas.base import Document
from tornio.schemas.jobs import LabelArgs
from tornio.schemas.keys import RunKeys, TaskKeys, workspace_run
from tornio.schemas.runs import RunAsk, RunFailure, RunPlan, RunProgress, RunResult, RunStarted
from tornio.storage import documents
from tornio.storage.local import LocalStore
from tornio.storage.memory import MemoryStore
from tornio.storage.port import ObjectStore

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEYS = TaskKeys("w", "t")


def plan_of(seq: int = 1) -> RunPlan:
    return RunPlan.of("label", "w", "t", LabelArgs(pool_seq=seq, spec_rev=1))


PLAN = plan_of()


class Played:
    """Attempts at a run, as their workers write them down."""

    def __init__(self, store: ObjectStore, plan: RunPlan = PLAN, keys: RunKeys | None = None) -> None:
        self.store, self.plan, self.keys = store, plan, keys or KEYS.run(plan.run)

    def planned(self) -> Played:
        documents.create_or_get(self.store, self.keys.plan, self.plan)
        return self

    def start(self, attempt: int) -> None:
        self._put(
            self.keys.started(attempt),
            RunStarted(run=self.plan.run, job="label", attempt=attempt, worker="w1", started_at=NOW),
        )

    def fail(self, attempt: int, error: str = "out of memory", final: bool = False) -> None:
        failure = RunFailure(
            run=self.plan.run, job="label", attempt=attempt, error=error, started_at=NOW, ended_at=NOW, final=final
        )
        self._put(self.keys.failure(attempt), failure)

    def tell(self, attempt: int, done: int) -> None:
        told = RunProgress(run=self.plan.run, attempt=attempt, stage="label rows", done=done, total=9, unit="rows")
        self._put(self.keys.progress(attempt), told)

    def finish(self, attempt: int) -> None:
        result = RunResult(
            run=self.plan.run, job="label", attempt=attempt, output={"rows": 9}, started_at=NOW, finished_at=NOW
        )
        self._put(self.keys.result, result)

    def _put(self, key: str, document: Document) -> None:
        self.store.put(key, document.encode())


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def state(store: ObjectStore, plan: RunPlan = PLAN) -> RunState:
    return RunReader(store, "w", "t").run(plan.run).state


def ask(store: ObjectStore, after: timedelta = timedelta()) -> RunAsk:
    ask_for_run(store, PLAN, "ops", NOW + after)
    return documents.load(store, KEYS.run_ask(PLAN.run), RunAsk)[0]


def cancel(store: ObjectStore) -> None:
    cancel_run(store, "w", "t", PLAN.run, "ops", NOW)


def test_from_asked_for_to_done(store: MemoryStore) -> None:
    ask(store)
    played = Played(store)
    assert state(store) is RunState.WAITING
    played.start(1)
    played.tell(1, 3)
    record = RunReader(store, "w", "t").run(PLAN.run)
    assert (record.state, record.began, record.ended, record.progress and record.progress.done) == (
        RunState.RUNNING, NOW, None, 3,
    )  # fmt: skip
    played.finish(1)
    record = RunReader(store, "w", "t").run(PLAN.run)
    assert (record.state, record.attempt, record.ended, record.error) == (RunState.DONE, 1, NOW, None)
    assert run_out(record, "ignored").output == {"rows": 9}
    assert run_out(record).why is None


def test_attempts_of_somebody_s_own_process_do_not_count(store: MemoryStore) -> None:
    played = Played(store)
    for number in (1, 2, 3):
        played.start(number)
    assert ask(store).after == 3
    assert state(store) is RunState.WAITING


def test_an_attempt_that_failed_is_followed_by_others_until_it_is_given_up(store: MemoryStore) -> None:
    ask(store)
    played = Played(store)
    for attempt in range(1, ATTEMPTS + 1):
        played.start(attempt)
        assert state(store) is RunState.RUNNING
        played.fail(attempt, f"reason {attempt}")
        record = RunReader(store, "w", "t").run(PLAN.run)
        assert record.error == f"reason {attempt}"
        assert record.state is (RunState.WAITING if attempt < ATTEMPTS else RunState.FAILED)
        assert record.ended == (None if attempt < ATTEMPTS else NOW)


def test_what_cannot_be_done_is_not_tried_again(store: MemoryStore) -> None:
    ask(store)
    played = Played(store)
    played.start(1)
    played.fail(1, "no column 'label'", final=True)
    assert state(store) is RunState.FAILED


def test_an_attempt_that_failed_before_it_began_counts(store: MemoryStore) -> None:
    ask(store)
    Played(store).fail(1, "the job could not start")
    record = RunReader(store, "w", "t").run(PLAN.run)
    assert (record.attempt, record.state, record.error) == (1, RunState.WAITING, "the job could not start")


@pytest.mark.parametrize("failed", [True, False])
def test_asked_for_again_a_run_that_is_over_begins_again_with_all_its_attempts(
    store: MemoryStore, failed: bool
) -> None:
    ask(store)
    played = Played(store)
    for attempt in range(1, ATTEMPTS + 1):
        played.start(attempt)
        played.fail(attempt)
    if not failed:
        documents.update(store, KEYS.run_ask(PLAN.run), RunAsk, lambda asked: asked.evolve(cancelled_by="x"))
    again = ask(store, timedelta(hours=1))
    assert (again.after, again.cancelled_by, again.asked_at) == (ATTEMPTS, None, NOW + timedelta(hours=1))
    record = RunReader(store, "w", "t").run(PLAN.run)
    assert (record.state, record.error, record.began) == (RunState.WAITING, None, None)


def test_asked_for_again_a_run_that_goes_on_or_is_done_stays_as_it_is(store: MemoryStore) -> None:
    first = ask(store)
    assert ask(store, timedelta(hours=1)) == first
    Played(store).start(1)
    assert ask(store, timedelta(hours=1)) == first
    Played(store).finish(1)
    assert ask(store, timedelta(hours=1)) == first


def test_cancelled_it_is_so_until_it_is_done_all_the_same(store: MemoryStore) -> None:
    ask(store)
    Played(store).start(1)
    cancel(store)
    cancel(store)
    assert state(store) is RunState.CANCELLED
    Played(store).finish(1)  # its last line was under way
    assert state(store) is RunState.DONE
    with pytest.raises(Conflict, match="done already"):
        cancel(store)


def test_what_cannot_be_cancelled_or_asked_for_is_told(store: MemoryStore) -> None:
    with pytest.raises(NotFound, match="no run"):
        cancel(store)
    Played(store).planned()
    with pytest.raises(Conflict, match="tornio pause w/t"):
        cancel(store)
    with pytest.raises(InvalidInput, match="belongs to no task"):
        ask_for_run(store, RunPlan.of("score", "w", None, LabelArgs(pool_seq=1, spec_rev=1)), "ops", NOW)


def test_a_run_of_the_loop_is_what_its_last_attempt_is(store: MemoryStore) -> None:
    played = Played(store).planned()
    assert state(store) is RunState.WAITING
    played.start(1)
    assert state(store) is RunState.RUNNING
    played.fail(1)
    assert state(store) is RunState.FAILED
    played.start(2)
    assert state(store) is RunState.RUNNING


@pytest.mark.parametrize("make", [lambda _: MemoryStore(), LocalStore])
def test_the_newest_are_listed_and_what_work_has_written_costs_nothing(
    tmp_path: Path, make: Callable[[Path], ObjectStore]
) -> None:
    store = make(tmp_path)
    runs = [plan_of(seq) for seq in range(1, 7)]
    for n, plan in enumerate(runs):
        played = Played(store, plan).planned()
        played.start(1)
        started = RunStarted(run=plan.run, job="label", attempt=1, worker="w", started_at=NOW + timedelta(hours=n))
        store.put(played.keys.started(1), started.encode())
        store.put(played.keys.part("scores", 0), b"rows")
    store.put(KEYS.runs + "leftover/attempts/1/started.json", b"")
    store.put(KEYS.runs + "leftover/scores/000000.parquet", b"rows")
    reader = RunReader(store, "w", "t")
    assert [record.plan.run for record in reader.runs(100)] == [plan.run for plan in reversed(runs)]
    if isinstance(store, LocalStore):  # a store that says when each was written
        assert {record.plan.run for record in reader.runs(3)} <= {plan.run for plan in runs[3:]}


def test_runs_of_no_task_are_the_workspace_s(store: MemoryStore) -> None:
    plan = RunPlan.of("score", "w", None, LabelArgs(pool_seq=1, spec_rev=1))
    played = Played(store, plan, workspace_run("w", plan.run)).planned()
    played.start(1)
    (record,) = RunReader(store, "w", None).runs(5)
    assert (record.plan.run, record.state) == (plan.run, RunState.RUNNING)
    assert RunReader(store, "w", None).asks() == []


def test_the_pause_doubles_up_to_a_minute() -> None:
    assert [pause_after(tries).total_seconds() for tries in (1, 2, 5, 6, 50)] == [2, 4, 32, 60, 60]


def test_workspaces_with_runs_are_found_without_reading_what_they_hold(store: MemoryStore) -> None:
    for key in ("a-2/runs/score-1/plan.json", "a/runs/score-1/plan.json", "a/runs/score-1/scores/000000.parquet"):
        store.put(key, b"")
    for key in ("b/tasks/t/task.json", "blobs/12", "c/runs/score-9/input/000000.parquet", "stray"):
        store.put(key, b"")
    assert sorted(workspaces_with_runs(store)) == ["a", "a-2", "c"]
