"""Runs that users ask for, as RayJobs: whatever is lost in between, each ends, and one result counts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.context import JobContext
from jobs.table import JOBS, Job
from services.controller.runs import RunKeeper
from tests.kube import Killed, PlayedKubeRay
from tornio.errors import Unavailable
from tornio.runs import RunReader, RunRecord, RunState, ask_for_run
from tornio.schemas.base import Part
from tornio.schemas.keys import TaskKeys
from tornio.schemas.runs import RunPlan
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit

KEYS = TaskKeys("w", "t")
PLAN = RunPlan.of("work", "w", "t", Part())
NOW = datetime.now(UTC)  # as what runs has it
EVENTS = ("run", "lose the head", "lose the work", "fail", "deadline", "delete", "away", "new controller")


class Stage(PlayedKubeRay):
    """One RayJob after the other, each event when a test says so; time passes with each look."""

    def __init__(self, folder: Path) -> None:
        store = MemoryStore()
        super().__init__(store, lambda: JobContext.over(store, folder))
        self.now = NOW
        self.ends: list[BaseException | None] = []
        self.results = 0
        self.keeper = self.new_controller()

    def new_controller(self) -> RunKeeper:
        return RunKeeper(self.store, KEYS, self.runner(), lambda: self.now)

    def begin(self, name: str) -> None:
        self.say(name, "Initializing", "PENDING")

    def work(self, *_: object) -> Part:
        end = self.ends.pop() if self.ends else None
        if end is not None:
            raise end
        self.results += 1
        return Part()

    def open(self) -> list[str]:
        found = [(job["metadata"]["name"], job["status"]) for job in self.objects.values()]
        return [name for name, status in found if status["jobDeploymentStatus"] in ("Initializing", "Running")]

    def happen(self, event: str) -> None:
        for name in self.open()[:1]:
            match event:
                case "run":
                    self.drive(name)
                case "lose the head":  # KubeRay starts the entry point again, and says nothing
                    self.ends = [Killed()]
                    self.drive(name)
                    self.drive(name)
                case "lose the work":
                    self.ends = [Killed()]
                    self.drive(name)
                case "fail":
                    self.ends = [OSError("the disk is full")]
                    self.drive(name)
                case "deadline":
                    self.say(name, "Failed", "RUNNING", reason="DeadlineExceeded")
                case "delete":
                    self.objects.clear()
        self.away = Unavailable("it does not answer") if event == "away" else None
        if event == "new controller":
            self.keeper = self.new_controller()

    def look(self) -> None:
        self.now += timedelta(minutes=2)
        self.keeper.look()

    @property
    def record(self) -> RunRecord:
        return RunReader(self.store, "w", "t").run(PLAN.run)


@contextmanager
def asked() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        stage = Stage(Path(folder))
        patch.setitem(JOBS, "work", Job(Part, stage.work))
        ask_for_run(stage.store, PLAN, "ops", NOW)
        yield stage


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(EVENTS), max_size=12))
def test_whatever_happens_a_run_ends_and_one_result_counts(events: list[str]) -> None:
    with asked() as stage:
        for event in events:
            stage.look()
            stage.happen(event)
        for _ in range(12):
            stage.look()
            stage.happen("run")
        assert stage.record.state in (RunState.DONE, RunState.FAILED)
        assert stage.results == (stage.record.state is RunState.DONE)
        if not set(events) - {"run", "lose the head", "away", "new controller"}:
            assert stage.record.state is RunState.DONE


def test_a_head_that_is_lost_costs_no_second_rayjob() -> None:
    with asked() as stage:
        stage.look()
        stage.happen("lose the head")
        stage.look()
        assert (stage.record.state, stage.record.attempt, len(stage.objects)) == (RunState.DONE, 2, 1)


def test_a_deadline_fails_the_attempt_that_ran_and_the_next_goes_on() -> None:
    with asked() as stage:
        stage.look()
        stage.happen("lose the work")
        stage.happen("deadline")
        stage.look()
        assert "activeDeadlineSeconds" in (stage.record.error or "")
        stage.look()
        stage.happen("run")
        assert (stage.record.state, stage.record.attempt) == (RunState.DONE, 2)
