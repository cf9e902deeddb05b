"""The loop on Ray jobs: each of its runs as large as can be, with jobs that are killed and a head that is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.context import JobContext
from jobs.running.inline import InlineRunner
from jobs.running.measuring import Measure
from jobs.running.placement import PlacedRunner
from jobs.running.submitted import RayJobRunner
from services.controller.reconciler import Reconciler
from tests.contract.runner_stages import PlayedRay
from tests.unit.controller.turning import HashLoader, InstantFleet, Turning, quick_fit
from tornio.registry import NodeCache
from tornio.schemas.keys import TaskKeys
from tornio.schemas.runs import RunFailure, RunPlan, RunResult, RunStarted
from tornio.storage import documents
from tornio.tasks import Tasks

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick_fit():
        yield


class StepwiseRay(PlayedRay):
    """A job is done while it is submitted, or is killed when it has begun: the n-th of all, for n in ``kills``."""

    kills: frozenset[int] = frozenset()
    driven = 0

    def _begin(self, job_id: str, words: list[str]) -> None:
        self.driven += 1
        if self.driven not in self.kills:
            self._drive(job_id, words)
            return
        workspace, run, attempt = words[3:6]
        keys = TaskKeys(workspace, "t").run(run)
        now = datetime.now(UTC)
        started = RunStarted(run=run, job="any", attempt=int(attempt), worker="killed", started_at=now)
        documents.create(self.context().store, keys.started(int(attempt)), started)
        self.end(job_id, "FAILED", "Job entrypoint command failed with exit code -9, last available logs:\nbegan\n")


@dataclass
class LargeTurning(Turning):
    """Every run of the loop is a Ray job."""

    kills: frozenset[int] = frozenset()
    ray: StepwiseRay = field(init=False)

    def __post_init__(self) -> None:
        self.ray = StepwiseRay(self._process)
        self.ray.kills = self.kills

    def _process(self) -> JobContext:
        cache = NodeCache(self.folder, self.store)
        return JobContext(self.store, cache, HashLoader(self.store, cache, "float32"), Tasks(self.store))

    def controller(self) -> Reconciler:
        def nothing_is_small(plan: RunPlan, attempt: int) -> RunResult:
            raise AssertionError(plan.run)

        large = RayJobRunner(lambda: self.ray)
        runner = PlacedRunner(InlineRunner(nothing_is_small), large, Measure(self.store), "always")
        fleet = InstantFleet(self.store, self.task)
        return Reconciler(self.store, self.task, self.annotation, runner, fleet, self.clock)


def large(folder: Path, kills: frozenset[int] = frozenset()) -> LargeTurning:
    turning = LargeTurning(folder, kills=kills)
    turning.begin()
    return turning


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Turning:
    with quick_fit():
        turning = Turning(tmp_path_factory.mktemp("cache")).begin()
        turning.turn()
    return turning


@pytest.mark.parametrize("kills", [frozenset[int](), frozenset({1, 3, 4}), frozenset({2, 5, 8})])
def test_killed_jobs_are_followed_by_others_and_the_loop_comes_to_the_same(
    undisturbed: Turning, tmp_path: Path, kills: frozenset[int]
) -> None:
    turning = large(tmp_path, kills)
    turning.turn(looks=4000)
    assert turning.facts() == undisturbed.facts()
    assert len(turning.ray.jobs) >= 6 + len(kills)
    failures = [info.key for info in turning.store.list("w/tasks/t/runs/") if info.key.endswith("failure.json")]
    assert failures == []  # a killed process writes nothing: Ray said it


def test_a_controller_that_comes_anew_finds_the_jobs_of_the_one_before(undisturbed: Turning, tmp_path: Path) -> None:
    turning = large(tmp_path)
    for _ in range(4000):
        look = turning.controller().look()  # a new process for each look
        if not look.busy and not turning.answer() and len(turning.task.iterations()) == 3 and not look.state.swap:
            break
    assert turning.facts() == undisturbed.facts()
    assert max(int(job.rpartition("-")[2]) for job in turning.ray.jobs) == 1


def test_a_head_that_is_lost_costs_attempts_and_nothing_else(undisturbed: Turning, tmp_path: Path) -> None:
    turning = large(tmp_path, frozenset({3}))
    controller = turning.controller()
    for _ in range(4000):
        look = controller.look()
        if not look.busy and look.state.batches:
            turning.answer()
        if turning.ray.driven == 3:
            break
    turning.ray.jobs.clear()  # among them one that had begun
    turning.turn(looks=4000)
    assert turning.facts() == undisturbed.facts()
    failures = [info.key for info in turning.store.list("w/tasks/t/runs/") if info.key.endswith("failure.json")]
    (failure,) = failures
    noted, _ = documents.load(turning.store, failure, RunFailure)
    assert "ended in the middle" in noted.error
