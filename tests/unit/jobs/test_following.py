"""A command that waits for a run: killed and started again, it takes up what goes on without it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.context import JobContext
from jobs.running.following import follow
from jobs.table import JOBS, Job
from tests.kube import Killed, PlayedKubeRay, enter
from tornio.errors import RunFailed, Unavailable
from tornio.schemas.base import Part
from tornio.schemas.keys import run_of
from tornio.schemas.runs import RunPlan, RunProgress, RunStarted
from tornio.storage import documents
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit

PLAN = RunPlan.of("work", "w", None, Part())
KEYS = run_of("w", None, PLAN.run)


class Stepped(PlayedKubeRay):
    """One step of the operator with each pause of whoever follows."""

    def begin(self, name: str) -> None:
        self.say(name, "Initializing", "PENDING")

    def step(self, _seconds: float) -> None:
        for name, job in [(key[2], job) for key, job in self.objects.items()]:
            if job["status"]["jobDeploymentStatus"] == "Initializing":
                self.drive(name)


@pytest.fixture
def kube(tmp_path: Path) -> Stepped:
    store = MemoryStore()
    return Stepped(store, lambda: JobContext.over(store, tmp_path))


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def ends(*with_: BaseException | None) -> None:
        left = list(with_)

        def run(*_: object) -> Part:
            end = left.pop(0)
            if end is not None:
                raise end
            return Part()

        monkeypatch.setitem(JOBS, "work", Job(Part, run))

    return ends


def test_a_run_is_begun_and_its_result_comes(kube: Stepped, work: Callable[..., None]) -> None:
    work(None)
    result = follow(PLAN, kube.runner(), kube.store, pause=kube.step)
    assert follow(PLAN, kube.runner(), kube.store, pause=kube.step) == result
    assert len(kube.objects) == 1


def test_who_follows_may_be_killed_and_come_again(kube: Stepped, work: Callable[..., None]) -> None:
    work(None)

    def killed(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(PLAN, kube.runner(), kube.store, pause=killed)
    ((_, _, name),) = kube.objects
    seen: list[RunProgress] = []

    def pause(_seconds: float) -> None:
        told = RunProgress(run=PLAN.run, attempt=1, stage="score rows", done=5, total=9, unit="rows")
        kube.store.put(KEYS.progress(1), told.encode())
        if seen:
            kube.step(0)

    result = follow(PLAN, kube.runner(), kube.store, lambda _, progress: seen.append(progress), pause)
    assert (result.attempt, list(kube.objects)) == (1, [("RayJob", "team", name)])
    assert seen[0].done == 5


def test_an_attempt_that_fails_meanwhile_is_told_and_started_again_is_the_next(
    kube: Stepped, work: Callable[..., None]
) -> None:
    work(OSError("the disk is full"), None)
    with pytest.raises(RunFailed, match="attempt 1: OSError: the disk is full"):
        follow(PLAN, kube.runner(), kube.store, pause=kube.step)
    assert follow(PLAN, kube.runner(), kube.store, pause=kube.step).attempt == 2


def test_an_api_that_is_away_later_is_waited_for(kube: Stepped, work: Callable[..., None]) -> None:
    work(None)
    kube.away = Unavailable("it does not answer")
    with pytest.raises(Unavailable):
        follow(PLAN, kube.runner(), kube.store, pause=kube.step)
    kube.away = None
    passed: list[int] = []

    def pause(_seconds: float) -> None:
        passed.append(1)
        kube.away = Unavailable("it does not answer") if len(passed) < 5 else None
        if len(passed) > 5:
            kube.step(0)

    assert follow(PLAN, kube.runner(), kube.store, pause=pause).attempt == 1
    assert len(kube.objects) == 1


def test_a_head_that_is_lost_is_no_failure(kube: Stepped, work: Callable[..., None]) -> None:
    work(Killed(), None)

    def pause(seconds: float) -> None:
        for job in list(kube.objects.values()):
            if documents.find(kube.store, KEYS.started(1), RunStarted) is not None:
                enter(job["spec"]["entrypoint"], kube.store, kube.context())
        kube.step(seconds)

    assert follow(PLAN, kube.runner(), kube.store, pause=pause).attempt == 2
