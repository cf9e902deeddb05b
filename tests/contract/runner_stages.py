"""Where the runners of jobs are shown: in this process, over a Ray that is played, and on a real one."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.context import JobContext
from jobs.running.execute import execute
from jobs.running.inline import InlineRunner
from jobs.running.port import JobRunner
from jobs.running.submitted import RayJobRunner
from jobs.running.warm import WarmRunner
from jobs.table import JOBS, Job
from services.embedded import ports
from tests.kube import Killed, PlayedKubeRay
from tornio.records import Record
from tornio.schemas.base import Part
from tornio.schemas.jobs import LabelArgs, QueryArgs
from tornio.schemas.keys import run_of
from tornio.schemas.runs import RunPlan
from tornio.spec import TaskSpec
from tornio.storage import documents
from tornio.storage.local import LocalStore
from tornio.storage.memory import MemoryStore
from tornio.storage.port import ObjectStore
from tornio.tasks import Tasks

ENDLESS_TEXTS = 50_000
"""Texts that a teacher labels for minutes."""


@dataclass
class PlayedRay:
    """Ray's job API with threads in place of processes. What a real job writes on its standard error is its log."""

    context: Callable[[], JobContext]
    cluster: str = "127.0.0.1:6379"
    jobs: dict[str, Any] = field(default_factory=dict)
    away: Exception | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def submit_job(
        self, *, entrypoint: str, submission_id: str, metadata: dict[str, str], entrypoint_num_cpus: float
    ) -> str:
        self._answer()
        if submission_id in self.jobs:
            raise RuntimeError(f"Request failed with status code 500: Job with {submission_id} already exists.")
        self.jobs[submission_id] = SimpleNamespace(
            submission_id=submission_id, message=None, status=_status("PENDING"), num_cpus=entrypoint_num_cpus
        )
        self._begin(submission_id, shlex.split(entrypoint))
        return submission_id

    def list_jobs(self) -> list[Any]:
        self._answer()
        driver = SimpleNamespace(submission_id=None, status=_status("RUNNING"), message=None)
        return [driver, *self.jobs.values()]

    def stop_job(self, job_id: str) -> bool:
        self._answer()
        self.end(job_id, "STOPPED", "Job was intentionally stopped.")
        self.ended.set()
        return True

    def end(self, job_id: str, status: str, message: str) -> None:
        self.jobs[job_id].status, self.jobs[job_id].message = _status(status), message

    def _begin(self, job_id: str, words: list[str]) -> None:
        threading.Thread(target=self._drive, args=(job_id, words), daemon=True).start()

    def _answer(self) -> None:
        if self.away is not None:
            raise self.away

    def _drive(self, job_id: str, words: list[str]) -> None:
        workspace, run, attempt = words[3:6]
        assert words[words.index("--cluster") + 1] == self.cluster  # or Ray gives any that it finds on the machine
        task = words[words.index("--task") + 1] if "--task" in words else None
        context = self.context()
        plan, _ = documents.load(context.store, run_of(workspace, task, run).plan, RunPlan)
        self.jobs[job_id].status = _status("RUNNING")
        try:
            execute(plan, int(attempt), context)
        except Killed:
            return
        except Exception as error:  # noqa: BLE001 - as a process that ends with it
            log = f"last available logs (truncated to 20,000 chars):\n2026 INFO: began\n2026 ERROR jobs: {error}\n"
            self.end(job_id, "FAILED", f"Job entrypoint command failed with exit code 1, {log}")
        else:
            self.end(job_id, "SUCCEEDED", "Job finished successfully.")


def _status(name: str) -> Any:
    return SimpleNamespace(value=name)


@dataclass(frozen=True)
class Stage:
    """``runner()`` makes a new runner over the same place of work. Each stage has tasks of its own."""

    name: str
    store: ObjectStore
    runner: Callable[[], JobRunner]
    endless: RunPlan | None = None
    """A run that does not end by itself, where there is one to be cancelled."""
    quick_to_begin: bool = True
    """Whether an attempt begins at once, and not with new processes."""

    @property
    def quick(self) -> RunPlan:
        args = QueryArgs(batch="g1-b0001", number=1, generation=1, version=None, label_seq=0, pool_seq=1, spec_rev=1)
        return planned(self.store, "query", self.name, args)

    @property
    def failing(self) -> RunPlan:
        """The task has no teacher."""
        return planned(self.store, "label", self.name, LabelArgs(pool_seq=1, spec_rev=1))

    @property
    def unknown(self) -> RunPlan:
        """One that nobody submits."""
        return planned(self.store, "label", self.name, LabelArgs(pool_seq=7, spec_rev=7))


def planned(store: ObjectStore, job: str, task: str, args: Part) -> RunPlan:
    plan = RunPlan.of(job, "w", task, args)
    documents.create_or_get(store, run_of("w", task, plan.run).plan, plan)
    return plan


def make_task(store: ObjectStore, name: str, teacher: str = "none", texts: int = 40) -> None:
    spec = {"workspace": "w", "name": name, "labels": ["a", "b"], "teacher": {"kind": teacher}}
    Tasks(store).apply(TaskSpec.model_validate(spec), "test")
    Tasks(store).open("w", name).add_records(
        [Record(f"r{n}", f"a text of some words, number {n}") for n in range(texts)]
    )


@contextmanager
def inline(folder: Path) -> Iterator[Stage]:
    store = MemoryStore()
    make_task(store, "inline")
    runner = InlineRunner(lambda plan, attempt: execute(plan, attempt, JobContext.over(store, folder)))
    yield Stage("inline", store, lambda: runner)  # it remembers what it did, and nobody else does


@contextmanager
def played(folder: Path) -> Iterator[Stage]:
    store = MemoryStore()
    make_task(store, "played")
    ray = PlayedRay(lambda: JobContext.over(store, folder))

    def wait(*_: object) -> Part:
        ray.ended.wait()
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(JOBS, "wait", Job(Part, wait))
        yield Stage("played", store, lambda: RayJobRunner(lambda: ray), planned(store, "wait", "played", Part()))
        ray.ended.set()


@contextmanager
def kuberay(folder: Path) -> Iterator[Stage]:
    """Over a Kubernetes that is played, with its operator."""
    store = MemoryStore()
    make_task(store, "kuberay")
    played = PlayedKubeRay(store, lambda: JobContext.over(store, folder))

    def wait(*_: object) -> Part:
        played.ended.wait()
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(JOBS, "wait", Job(Part, wait))
        yield Stage("kuberay", store, played.runner, planned(store, "wait", "kuberay", Part()))
        played.ended.set()


def warm_worker(store: ObjectStore) -> Stage:
    make_task(store, "warm")
    make_task(store, "large", "embedding", ENDLESS_TEXTS)
    args = LabelArgs(pool_seq=ENDLESS_TEXTS // 10_000, spec_rev=1)
    return Stage("warm", store, WarmRunner, planned(store, "label", "large", args))


def ray_jobs(store: ObjectStore) -> Stage:
    """How one is cancelled is shown in ``integration/test_runs.py``, which has a large one under way anyway."""
    make_task(store, "jobs")
    return Stage("jobs", store, RayJobRunner, quick_to_begin=False)


@contextmanager
def real_ray(folder: Path) -> Iterator[ObjectStore]:
    """Ray on loopback, with its dashboard; runs keep their documents in a folder. The warm worker is its too."""
    import ray

    from services.embedded.serving import any_agent_port

    any_agent_port()
    store = LocalStore(folder / "store")
    (port,) = ports.assign(folder / "ports.json", ["dashboard"]).values()
    variables = {
        "TORNIO_STORE_DIR": str(store.folder),
        "TORNIO_CACHE_DIR": str(folder / "cache"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        ray.init(
            address="local",
            num_cpus=4,
            include_dashboard=True,
            dashboard_host=ports.HOST,
            dashboard_port=port,
            object_store_memory=100 << 20,
            log_to_driver=False,
            _node_ip_address=ports.HOST,
        )
        try:
            yield store
        finally:
            ray.shutdown()
