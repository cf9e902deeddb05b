"""What every runner of jobs promises, shown on each one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from jobs.running.port import JobRunner, RunPhase, RunStatus
from tests.contract import runner_stages as stages
from tests.contract.runner_stages import Stage
from tornio.errors import Unavailable
from tornio.schemas.keys import run_of
from tornio.schemas.runs import RunFailure, RunPlan, RunResult, RunStarted
from tornio.storage import documents
from tornio.storage.port import ObjectStore

REAL = pytest.mark.integration


@pytest.fixture(scope="module")
def ray_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with stages.real_ray(tmp_path_factory.mktemp("ray")) as store:
        yield store


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("inline", marks=pytest.mark.unit),
        pytest.param("played-ray", marks=pytest.mark.unit),
        pytest.param("played-kuberay", marks=pytest.mark.unit),
        pytest.param("warm-worker", marks=REAL),
        pytest.param("ray-jobs", marks=REAL),
    ],
)
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """With runs under way: each takes a while where processes are real."""
    folder = tmp_path_factory.mktemp("runner")
    match request.param:
        case "inline":
            with stages.inline(folder) as made:
                yield begun(made)
        case "played-ray":
            with stages.played(folder) as made:
                yield begun(made)
        case "played-kuberay":
            with stages.kuberay(folder) as made:
                yield begun(made)
        case "warm-worker":
            yield begun(stages.warm_worker(request.getfixturevalue("ray_store")))
        case _:
            yield begun(stages.ray_jobs(request.getfixturevalue("ray_store")))


def begun(stage: Stage) -> Stage:
    for plan in (stage.quick, stage.failing):
        submit(stage.runner(), plan, 1)
    return stage


def submit(runner: JobRunner, plan: RunPlan, attempt: int) -> None:
    """A cluster that has just begun may not be ready to take jobs."""

    def taken() -> bool:
        try:
            runner.submit(plan, attempt)
        except Unavailable:
            return False
        return True

    until(taken, "it is taken")


def until(look: Callable[[], bool], what: str, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)


def ended(stage: Stage, plan: RunPlan, attempt: int = 1) -> RunStatus:
    """The status, asked for by a runner of a new process, once this attempt has ended."""
    seen: list[RunStatus] = []

    def over() -> bool:
        seen[:] = [stage.runner().status(plan)]
        return seen[0].phase in (RunPhase.DONE, RunPhase.FAILED) and seen[0].attempt >= attempt

    until(over, f"attempt {attempt} ends")
    return seen[0]


def test_a_run_is_done_once_however_often_it_is_submitted(stage: Stage) -> None:
    assert ended(stage, stage.quick) == RunStatus(RunPhase.DONE, 1)
    keys = run_of("w", stage.name, stage.quick.run)
    result, _ = documents.load(stage.store, keys.result, RunResult)
    assert result.output["items"]
    submit(stage.runner(), stage.quick, 1)
    assert ended(stage, stage.quick) == RunStatus(RunPhase.DONE, 1)
    assert documents.load(stage.store, keys.result, RunResult)[0] == result


def test_a_run_that_fails_says_why_and_is_tried_again_when_asked(stage: Stage) -> None:
    status = ended(stage, stage.failing)
    assert (status.phase, status.attempt) == (RunPhase.FAILED, 1)
    assert "this task has no teacher" in (status.error or "")
    keys = run_of("w", stage.name, stage.failing.run)
    noted, _ = documents.load(stage.store, keys.failure(1), RunFailure)
    assert noted.error in (status.error or "")
    submit(stage.runner(), stage.failing, 1)  # the same attempt again is no new one
    assert ended(stage, stage.failing) == status
    if not stage.quick_to_begin:
        return
    submit(stage.runner(), stage.failing, 2)
    assert ended(stage, stage.failing, 2).attempt == 2
    assert documents.find(stage.store, keys.started(2), RunStarted)


def test_a_run_that_nobody_submitted_is_unknown_and_ending_it_does_nothing(stage: Stage) -> None:
    plan = stage.unknown
    stage.runner().cancel(plan)
    assert stage.runner().status(plan).phase is RunPhase.UNKNOWN


def test_a_run_that_is_cancelled_ends_and_its_attempt_has_failed(stage: Stage) -> None:
    plan = stage.endless
    if plan is None:
        pytest.skip("this stage has nothing to cancel")
    submit(stage.runner(), plan, 1)
    keys = run_of("w", str(plan.task), plan.run)
    until(lambda: documents.find(stage.store, keys.started(1), RunStarted) is not None, "it begins")
    until(lambda: stage.runner().status(plan) == RunStatus(RunPhase.RUNNING, 1), "the runner says that it runs")

    def cancelled() -> bool:
        try:
            stage.runner().cancel(plan)
        except Unavailable:  # it is ending, or too busy to answer: cancel again
            return False
        return stage.runner().status(plan).phase is not RunPhase.RUNNING

    until(cancelled, "it ends")
    submit(stage.runner(), plan, 1)  # where nobody remembers it, this finds out that its worker is gone
    assert ended(stage, plan).phase is RunPhase.FAILED
    assert documents.find(stage.store, keys.result, RunResult) is None
