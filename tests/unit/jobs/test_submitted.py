"""What a Ray job tells when it ends badly, and what is told when Ray's API is away."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.context import JobContext
from jobs.running.port import RunPhase
from jobs.running.submitted import RayJobRunner, SubmissionClient
from tests.contract.runner_stages import PlayedRay
from tornio.errors import Unavailable
from tornio.schemas.jobs import LabelArgs
from tornio.schemas.runs import RunPlan
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit

PLAN = RunPlan.of("label", "w" * 60, "t" * 60, LabelArgs(pool_seq=1, spec_rev=1))


class IdleRay(PlayedRay):
    """Jobs wait, until a test says how they end."""

    def _begin(self, job_id: str, words: list[str]) -> None:
        pass


@pytest.fixture
def ray(tmp_path: Path) -> IdleRay:
    return IdleRay(lambda: JobContext.over(MemoryStore(), tmp_path))


@pytest.fixture
def runner(ray: IdleRay) -> RayJobRunner:
    return RayJobRunner(lambda: ray)


def test_a_job_s_id_is_short_whatever_the_names_and_tells_run_and_attempt(ray: IdleRay, runner: RayJobRunner) -> None:
    runner.submit(PLAN, 3)
    assert list(ray.jobs) == [f"tornio-{PLAN.run}-3"]
    assert runner.status(PLAN).phase is RunPhase.RUNNING  # it waits, in Ray's words


@pytest.mark.parametrize(("job", "cpus"), [("score", 0), ("train", 0.5)])
def test_a_job_that_gives_its_work_away_asks_for_no_processor(
    ray: IdleRay, runner: RayJobRunner, job: str, cpus: float
) -> None:
    plan = RunPlan.of(job, "w", "t", LabelArgs(pool_seq=1, spec_rev=1))
    runner.submit(plan, 1)
    assert ray.jobs[f"tornio-{plan.run}-1"].num_cpus == cpus


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (None, "without a message"),
        ("Job supervisor actor died.", "Job supervisor actor died."),
        (
            "Job entrypoint command failed with exit code -9, last available logs (truncated to 20,000 chars):\n"
            "INFO job_manager.py:581 -- Runtime env is setting up.\n\nRunning entrypoint\nINFO began\nINFO half\n",
            "Job entrypoint command failed with exit code -9: Running entrypoint / INFO began / INFO half",
        ),
        ("failed, last available logs:\n" + "x" * 20_000, "failed: ..." + "x" * 500),
    ],
)
def test_the_end_of_a_job_s_log_says_why_it_failed(
    ray: IdleRay, runner: RayJobRunner, message: str | None, says: str
) -> None:
    runner.submit(PLAN, 1)
    ray.end(f"tornio-{PLAN.run}-1", "FAILED", message or "")
    assert says in (runner.status(PLAN).error or "")


def test_of_several_attempts_the_last_counts(ray: IdleRay, runner: RayJobRunner) -> None:
    for attempt in range(1, 11):
        runner.submit(PLAN, attempt)
        ray.end(f"tornio-{PLAN.run}-{attempt}", "FAILED", f"reason {attempt}")
    assert (runner.status(PLAN).attempt, runner.status(PLAN).error) == (10, "reason 10")


@pytest.mark.parametrize(
    "error", [RuntimeError("No available agent"), ConnectionError("refused"), OSError("timed out")]
)
def test_an_api_that_is_away_is_said_and_asked_anew(ray: IdleRay, error: Exception) -> None:
    connections = []

    def connect() -> SubmissionClient:
        connections.append(1)
        return ray

    runner = RayJobRunner(connect)
    runner.submit(PLAN, 1)
    ray.away = error
    assert runner.status(PLAN).phase is RunPhase.UNKNOWN
    with pytest.raises(Unavailable, match=str(error)):
        runner.submit(PLAN, 2)
    with pytest.raises(Unavailable, match="TORNIO_JOB_LARGE_TEXTS=never"):
        runner.cancel(PLAN)
    ray.away = None
    runner.submit(PLAN, 2)
    assert len(connections) == 4  # the head may have moved


def test_a_cluster_without_a_dashboard_is_away() -> None:
    def connect() -> SubmissionClient:
        raise ConnectionError("this cluster has no dashboard")

    with pytest.raises(Unavailable, match="no dashboard"):
        RayJobRunner(connect).submit(PLAN, 1)


def test_who_submits_second_has_submitted(ray: IdleRay, monkeypatch: pytest.MonkeyPatch) -> None:
    RayJobRunner(lambda: ray).submit(PLAN, 1)
    monkeypatch.setattr(ray, "list_jobs", list)  # both looked before either submitted
    RayJobRunner(lambda: ray).submit(PLAN, 1)
    assert len(ray.jobs) == 1
