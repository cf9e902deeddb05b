"""The controller over fakes, with everything real but the encoder and the fit, which would take their time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from jobs.context import JobContext
from jobs.running.execute import execute
from jobs.running.inline import InlineRunner
from services.controller.reconciler import Look, Reconciler
from tornio.annotation.fake import FakeAnnotationTool
from tornio.arrays import FloatMatrix
from tornio.loop.observation import Replica
from tornio.loop.phase import Phase
from tornio.models.head import LinearHead
from tornio.models.loading import Loader
from tornio.models.port import Embedded, Reading
from tornio.records import Record
from tornio.registry import CANDIDATE, Encoders, NodeCache, Registry
from tornio.schemas.registry import EncoderUse
from tornio.schemas.trial import TrialCounts
from tornio.spec import TaskSpec
from tornio.storage.memory import MemoryStore
from tornio.tasks import Task, Tasks

DIMENSION = 16
LABELS = ("fruit", "metal", "river")
WORDS = {"fruit": "apple pear plum", "metal": "iron zinc gold", "river": "rhine nile loire"}


class HashEncoder:
    """Counts words in 16 buckets: fast, and good enough to learn something."""

    dimension = DIMENSION

    def embed(self, texts: Sequence[str]) -> Embedded:
        vectors = np.zeros((len(texts), DIMENSION), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.split():
                vectors[row, crc32(word.encode()) % DIMENSION] += 1.0
        return Embedded(vectors, np.zeros(len(texts), dtype=bool))

    def read(self, texts: Sequence[str]) -> Reading:
        tokens = np.array([len(text.split()) for text in texts], dtype=np.int64)
        return Reading(tokens, np.zeros(len(texts), dtype=bool), np.zeros(len(texts), dtype=bool))


class HashLoader(Loader):
    """The real loader, but for the encoder."""

    def encoder(self, use: EncoderUse) -> Any:
        return HashEncoder()

    def encoder_use(self, name: str, max_length: int) -> EncoderUse:
        return EncoderUse(digest="ab" * 32, pooling="mean", normalise=False, max_length=max_length)

    def layered(self, use: EncoderUse) -> EncoderUse:
        return use.evolve(layers=(-1,))


def centroids(
    embeddings: FloatMatrix, labels: Sequence[tuple[str, ...]], names: Sequence[str], multi_label: bool, *_: object
) -> LinearHead:
    """In place of the fit: the mean of each class, in a millisecond."""
    weight = np.zeros((len(names), embeddings.shape[1]), dtype=np.float32)
    for row, name in enumerate(names):
        mine = [i for i, given in enumerate(labels) if name in given]
        if mine:
            weight[row] = embeddings[mine].mean(axis=0)
    bias = -0.5 * (weight**2).sum(axis=1)
    return LinearHead(labels=tuple(names), multi_label=multi_label, weight=weight, bias=bias, metrics={})


@contextmanager
def quick_fit() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tornio.training.fewshot.fit_few_shot", centroids)
        patch.setattr(Encoders, "get", lambda self, digest: _Document())
        yield


class _Document:
    parent = run = None

    def use(self, layer: int, max_length: int) -> EncoderUse:
        return EncoderUse(digest="ab" * 32, pooling="mean", normalise=False, max_length=max_length, layer=layer)


class Clock:
    """A clock that goes on a little at each look at it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=50)
        return self.now


@dataclass
class InstantFleet:
    store: MemoryStore
    task: Task
    counts: TrialCounts = field(default_factory=TrialCounts)

    def replicas(self, task: str) -> tuple[Replica, ...]:
        alias = Registry(self.store, self.task.keys).alias(CANDIDATE)
        return (Replica("r1", frozenset({alias.version}) if alias else frozenset()),)

    def tried(self, task: str, version: str, started_at: datetime) -> TrialCounts:
        return self.counts


def make_spec(**loop: Any) -> TaskSpec:
    settings = {"batch_size": 6, "stop": {"max_iterations": 3}, **loop}
    return TaskSpec.model_validate(
        {"workspace": "w", "name": "t", "labels": list(LABELS), "teacher": {"kind": "none"}, "loop": settings}
    )


def make_pool(size: int = 60) -> tuple[list[Record], dict[str, str]]:
    rng = np.random.default_rng(7)
    records, truth = [], {}
    for n in range(size):
        label = LABELS[n % len(LABELS)]
        words = [*rng.choice(WORDS[label].split(), 2).tolist(), f"word{rng.integers(40)}"]
        records.append(Record(f"r{n:03d}", " ".join([*words, str(n)])))
        truth[f"r{n:03d}"] = label
    return records, truth


@dataclass
class Turning:
    """A task whose store and annotation tool outlive its controllers."""

    folder: Path
    spec: TaskSpec = field(default_factory=make_spec)
    store: MemoryStore = field(default_factory=MemoryStore)
    annotation: FakeAnnotationTool = field(default_factory=FakeAnnotationTool)
    clock: Clock = field(default_factory=Clock)
    truth: Mapping[str, str] = field(default_factory=dict)

    def begin(self) -> Turning:
        Tasks(self.store).apply(self.spec, "test")
        records, self.truth = make_pool()
        self.task.add_records(records)
        return self

    @property
    def task(self) -> Task:
        return Tasks(self.store).open("w", "t")

    def controller(self) -> Reconciler:
        """A new process: nothing is remembered."""
        cache = NodeCache(self.folder, self.store)
        context = JobContext(self.store, cache, HashLoader(self.store, cache, "float32"), Tasks(self.store))
        runner = InlineRunner(partial(execute, context=context))
        return Reconciler(
            self.store, self.task, self.annotation, runner, InstantFleet(self.store, self.task), self.clock
        )

    def answer(self) -> int:
        """The annotator answers what is open in the present data set; every fifth record is discarded."""
        new, generation = 0, self.task.document.generation
        for batch in self.task.batches():
            if batch.generation < generation:
                continue
            for item in batch.items:
                (record,) = self.annotation.read("w", batch.dataset, [item.record_id]) or (None,)
                if record is None or record.responses:
                    continue
                if int(item.record_id[1:]) % 5 == 4:
                    self.annotation.discard("w", batch.dataset, item.record_id, "a1")
                else:
                    label = self.truth[item.record_id]
                    self.annotation.answer("w", batch.dataset, item.record_id, "a1", [label])
                new += 1
        return new

    def turn(self, controller: Reconciler | None = None, looks: int = 400) -> Look:
        """Look and answer until the task stands still."""
        controller = controller or self.controller()
        for _ in range(looks):
            look = controller.look()
            if look.busy or (look.state.batches and self.answer()):
                continue
            again = look.state.query_not_before  # an attempt whose process was killed is made again after a pause
            if again is not None and look.seen.now < again:
                continue
            if look.standing.phase in (Phase.STOPPED, Phase.WAITING, Phase.PAUSED):
                return look
        raise AssertionError(f"no end in {looks} looks: {look.standing}")

    def facts(self) -> dict[str, Any]:
        """What must be the same whatever happened on the way."""
        task = self.task
        events = [(e.record_id, e.annotator, e.labels, e.purpose, str(e.event)) for e in task.labels.read()]
        assert len(events) == len(set(events)), "an answer stands twice in the log"
        batches = {b.batch: [(i.record_id, i.purpose) for i in b.items] for b in task.batches()}
        asked = [record_id for items in batches.values() for record_id, _ in items]
        assert len(asked) == len(set(asked)), "a record was sent twice"
        return {
            "labels": sorted(map(str, events)),
            "batches": batches,
            "iterations": [(i.number, i.batches, i.labels) for i in task.iterations()],
        }
