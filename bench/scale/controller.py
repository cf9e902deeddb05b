"""Many tasks under one controller: the real reconciler, lease and pauses, driven by a simulated clock.

One task is brought to an open batch that nobody answers. Every other task is a copy of its objects, in a store and with
a reconciler of its own. A queue of events says which task is looked at next, as the threads of the keeper would do.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from bench.scale.measuring import CountingStore, Requests, spent
from bench.turning import Turning
from jobs.context import JobContext
from jobs.running.execute import execute
from jobs.running.inline import InlineRunner
from services.classifier.aliases import AliasReader
from services.controller.lease import LeaseKeeper
from services.controller.pace import STEADY_S, next_pause
from services.controller.reconciler import Reconciler
from services.controller.runs import EVERY_S, RunKeeper
from tornio.annotation.fake import FakeAnnotationTool
from tornio.loop.observation import Replica
from tornio.records import Record
from tornio.schemas.keys import TaskKeys
from tornio.schemas.registry import Alias
from tornio.schemas.trial import TrialCounts
from tornio.spec import TaskSpec
from tornio.storage import documents
from tornio.storage.memory import MemoryStore
from tornio.tasks import Tasks

HOUR_S = 3600.0
SETTLED_S = 600.0
"""Seconds after which the pauses of a quiet task have reached their longest."""


class SimulatedClock:
    """Seconds since the simulation began. Nobody waits for them."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def __call__(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)


class QuietFleet:
    """Replicas of which nothing is to be known. It asks no store, as the controller's own does not."""

    def replicas(self, task: str) -> tuple[Replica, ...]:
        return ()

    def tried(self, task: str, version: str, started_at: datetime) -> TrialCounts:
        return TrialCounts()


@dataclass
class Watched:
    """One task and what looks at it, as in a thread of the keeper."""

    reconciler: Reconciler
    lease: LeaseKeeper
    runs: RunKeeper
    clock: SimulatedClock
    moved: float = 0.0
    nudged: bool = True

    def nudge(self) -> None:
        """Say that the annotation tool has moved."""
        self.moved, self.nudged = self.clock.monotonic(), True

    def look(self) -> float:
        """Look once. Returns the seconds until the next look: see ``Keeper._keep``."""
        nudged, self.nudged = self.nudged, False
        if not self.lease.held(nudged):
            return self.lease.waits_for()[0]
        look = self.reconciler.look()
        now = self.clock.monotonic()
        if look.busy:
            self.moved = now
        still = min(look.seen.quiet.total_seconds(), look.seen.pool_quiet.total_seconds(), now - self.moved)
        pause = next_pause(look, max(still, 0.0))
        if self.runs.look(nudged):
            pause = min(pause, EVERY_S)
        return pause if self.lease.rest(pause) else STEADY_S


@dataclass(frozen=True)
class LookCosts:
    """Of so many tasks. ``looks`` and ``requests``: of a task in an hour. ``look_seconds``: processor time of one."""

    tasks: int
    looks: float
    requests: Requests
    look_seconds: float


@dataclass
class Many:
    """So many copies of a task that waits for its annotators."""

    count: int
    template: MemoryStore
    annotation: FakeAnnotationTool
    scratch: Path
    asked: Counter[str] = field(default_factory=Counter)
    clock: SimulatedClock = field(default_factory=SimulatedClock)

    def watched(self, store: CountingStore) -> Watched:
        task = Tasks(store).open("bench", "quiet")
        context = JobContext.over(store, self.scratch)
        runner = InlineRunner(partial(execute, context=context))
        return Watched(
            Reconciler(store, task, self.annotation, runner, QuietFleet(), self.clock),
            LeaseKeeper(store, task.keys.lease, "bench", self.clock.monotonic),
            RunKeeper(store, task.keys, runner, self.clock),
            self.clock,
        )

    def run(self, since: float, until: float, answers_every: float = float("inf")) -> LookCosts:
        """Simulate until so many seconds, and count from ``since`` on. ``answers_every``: seconds between two answers
        in each task, which wake it."""
        stores = [CountingStore(self.asked).copy_of(self.template) for _ in range(self.count)]
        watched = [self.watched(store) for store in stores]
        queue = [(number / self.count, number) for number in range(self.count)]
        answered = [answers_every] * self.count
        looks = counted = 0
        first = Counter[str]()
        with spent() as took:
            while queue[0][0] <= until:
                self.clock.seconds, number = heapq.heappop(queue)
                if self.clock.seconds >= since and not counted:
                    first = Counter(self.asked)
                if self.clock.seconds >= answered[number]:
                    watched[number].nudge()
                    answered[number] += answers_every
                after = self.clock.seconds + watched[number].look()
                heapq.heappush(queue, (min(after, answered[number]), number))
                looks, counted = looks + 1, counted + (self.clock.seconds >= since)
        hours = (until - since) / HOUR_S * self.count
        return LookCosts(
            self.count,
            counted / hours,
            Requests.of(self.asked - first, 1 / hours),
            took.seconds / looks,
        )


def waiting_task(scratch: Path) -> tuple[MemoryStore, FakeAnnotationTool]:
    """Return the store and the annotation tool of a task with an open batch."""
    spec = TaskSpec.model_validate(
        {"workspace": "bench", "name": "quiet", "labels": ["yes", "no"], "teacher": {"kind": "none"},
         "loop": {"batch_size": 10, "cold_start": "random"}}
    )  # fmt: skip
    turning = Turning(spec, {}, scratch, MemoryStore())
    turning.task.add_records([Record(f"r{number}", f"text {number}") for number in range(100)])
    reconciler = turning.reconciler()
    for _ in range(100):
        look = reconciler.look()
        if not look.busy and look.state.batches:
            assert isinstance(turning.store, MemoryStore)
            return turning.store, turning.annotation
    raise RuntimeError(f"no batch was opened: {look.standing}")


@dataclass(frozen=True)
class Shared:
    """Requests that depend on the number of tasks alone: one listing of them, and one poll of a replica."""

    tasks: int
    discovery: Requests
    poll: Requests


def shared(count: int) -> Shared:
    """Measure what finding the tasks and polling their aliases asks of the store. All tasks are in one workspace."""
    asked = Counter[str]()
    store = CountingStore(asked)
    for number in range(count):
        keys = TaskKeys("bench", f"task{number}")
        store.put(keys.document, b"{}")
        alias = Alias(alias="current", version="v1", revision=1, moved_at=datetime(2026, 1, 1, tzinfo=UTC), who="bench",
                      why="bench")  # fmt: skip
        documents.create(store, keys.alias("current"), alias)
    names = set(Tasks(store).names())
    asked.clear()
    list(Tasks(store).names(known=names))
    discovery = Requests.of(asked)
    reader = AliasReader(store)
    reader.read_all()
    asked.clear()
    reader.read_all()
    return Shared(count, discovery, Requests.of(asked))
