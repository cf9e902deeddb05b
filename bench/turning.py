"""A loop that runs in this process: the controller's own code over a store in memory, with simulated annotators and
replicas that load instantly. For benchmarks of the loop's decisions, not of the speed of its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from jobs.context import JobContext
from jobs.running.execute import execute
from jobs.running.inline import InlineRunner
from services.controller.reconciler import Look, Reconciler
from tornio.annotation.fake import FakeAnnotationTool
from tornio.loop.observation import Replica
from tornio.loop.phase import Phase
from tornio.registry import CANDIDATE, Registry
from tornio.schemas.trial import TrialCounts
from tornio.spec import TaskSpec
from tornio.storage.memory import MemoryStore
from tornio.storage.port import ObjectStore
from tornio.tasks import Task, Tasks


@dataclass
class InstantFleet:
    """Two replicas that have always loaded the version of `candidate`."""

    store: ObjectStore

    def replicas(self, task: str) -> tuple[Replica, ...]:
        workspace, _, name = task.partition("/")
        alias = Registry(self.store, Tasks(self.store).open(workspace, name).keys).alias(CANDIDATE)
        ready = frozenset({alias.version}) if alias else frozenset[str]()
        return (Replica("r1", ready), Replica("r2", ready))

    def tried(self, task: str, version: str, started_at: datetime) -> TrialCounts:
        return TrialCounts()


@dataclass
class Turning:
    """One task, run until it is idle. ``answers``: record id -> label, known to the simulated annotator."""

    spec: TaskSpec
    answers: Mapping[str, str]
    cache_dir: Path
    store: ObjectStore = field(default_factory=MemoryStore)
    annotation: FakeAnnotationTool = field(default_factory=FakeAnnotationTool)
    context: JobContext | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __post_init__(self) -> None:
        self.context = self.context or JobContext.over(self.store, self.cache_dir)
        Tasks(self.store).apply(self.spec, "bench")

    @property
    def task(self) -> Task:
        return Tasks(self.store).open(self.spec.workspace, self.spec.name)

    def reconciler(self) -> Reconciler:
        """Return a new controller, as after a restart."""
        assert self.context is not None
        runner = InlineRunner(partial(execute, context=self.context))
        fleet = InstantFleet(self.store)
        return Reconciler(self.store, self.task, self.annotation, runner, fleet, self.clock)

    def answer_all(self) -> int:
        """Answer all records that have no answer yet. Returns the number of new answers."""
        dataset = self.spec.name
        new = 0
        for batch in self.task.batches():
            records = self.annotation.read(self.spec.workspace, dataset, [i.record_id for i in batch.items])
            for record in records:
                if not record.responses:
                    label = self.answers[record.record_id]
                    self.annotation.answer(self.spec.workspace, dataset, record.record_id, "a1", [label])
                    new += 1
        return new

    def turn(self, looks: int = 10_000) -> Look:
        """Look and answer until the loop stops, or waits with nothing left to answer."""
        reconciler = self.reconciler()
        for _ in range(looks):
            look = reconciler.look()
            if look.busy:
                continue
            if look.state.batches and self.answer_all():
                continue
            if look.standing.phase in (Phase.STOPPED, Phase.WAITING, Phase.ATTENTION, Phase.PAUSED):
                return look
        raise RuntimeError(f"The loop did not end within {looks} looks: {look.standing}")
