"""What a job works with: the store, the node's cache, models that stay loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from uuid import uuid4

import numpy as np

import tornio
from jobs.parts import PartMapper
from tornio.arrays import FloatMatrix, IntArray
from tornio.errors import InvalidInput
from tornio.models.loading import Loader
from tornio.models.port import Embedded, Model
from tornio.pool.embeddings import EmbeddingCache
from tornio.registry import NodeCache, Registry
from tornio.schemas.registry import EncoderUse
from tornio.schemas.runs import RunPlan, RunProgress
from tornio.settings import NodeSettings
from tornio.spec import ClassifierSpec
from tornio.storage.environment import store_from_environment
from tornio.storage.keys import RunKeys
from tornio.storage.port import ObjectStore
from tornio.tasks import Task, Tasks
from tornio.tasks.encoder import encoder_of

SOFTWARE = ("torch", "transformers", "scikit-learn", "numpy")
"""Whose versions are noted with what they have made."""


@cache
def software() -> dict[str, str]:
    """The versions of Tornio and of what it computes with. Looked up once: it reads the packages' own files."""
    return {"tornio": tornio.__version__, **{name: metadata.version(name) for name in SOFTWARE}}


@dataclass
class JobContext:
    """Kept by a process that runs jobs, so that the second run finds everything warm."""

    store: ObjectStore
    cache: NodeCache
    loader: Loader
    tasks: Tasks
    worker: str = field(default_factory=lambda: uuid4().hex)
    """Token of this process: tells the attempts that it began from those of one that is gone."""
    mapper: PartMapper | None = None
    """How large work is spread; None: not at all, one part after the other in this process."""
    watch: Callable[[RunPlan, RunProgress], None] = lambda _plan, _progress: None
    """Called with how far a run is."""
    train_on_workers: Callable[[RunContext], None] | None = None
    """Lets several workers train and publish a run's version. None: this process can only train alone."""

    @classmethod
    def over(cls, store: ObjectStore, cache_dir: Path, precision: str = "auto") -> JobContext:
        cache = NodeCache(cache_dir, store)
        return cls(store, cache, Loader(store, cache, precision), Tasks(store))

    @classmethod
    def from_environment(cls, precision: str | None = None) -> JobContext:
        """From TORNIO_S3_... and TORNIO_...: see ``tornio.settings``; a run may fix its precision."""
        import torch

        node = NodeSettings()
        torch.set_num_threads(node.torch_threads)
        return cls.over(store_from_environment(), node.cache_dir, precision or node.precision)


@dataclass(frozen=True)
class RunContext:
    """One attempt at a run."""

    job: JobContext
    plan: RunPlan
    attempt: int

    @property
    def run(self) -> str:
        return self.plan.run

    @cached_property
    def task(self) -> Task:
        """The run's task. Raises InvalidInput for a run without one, NotFound."""
        if self.plan.task is None:
            raise InvalidInput(f"{self.plan.job} works on a task, and run {self.run} names none: plan it with one")
        return self.job.tasks.open(self.plan.workspace, self.plan.task)

    @property
    def keys(self) -> RunKeys:
        return self.plan.run_keys

    @property
    def attempt_folder(self) -> str:
        return self.keys.attempt(self.attempt)

    def progress(self, stage: str, done: int, total: int | None, unit: str) -> None:
        """Tell whoever watches how far this attempt is."""
        told = RunProgress(run=self.run, attempt=self.attempt, stage=stage, done=done, total=total, unit=unit)
        self.job.watch(self.plan, told)

    @property
    def registry(self) -> Registry:
        return Registry(self.job.store, self.task.keys)

    def encoder_use(self, classifier: ClassifierSpec) -> EncoderUse:
        """How this spec uses its encoder: see ``tasks.encoder.encoder_of``."""
        return encoder_of(self.task, classifier, self.job.loader)

    def pool_vectors(self, use: EncoderUse, pool_seq: int) -> Embedded:
        """Embeddings of the whole pool up to ``pool_seq``, in its order; computed once, then from the cache."""
        encoder = self.job.loader.encoder(use)
        cache = EmbeddingCache(self.job.store, self.task.keys)
        return cache.vectors(self.task.pool.read(pool_seq), use, self.job.loader.precision, encoder.embed)

    def pool_probabilities(self, model: Model, pool_seq: int, rows: Sequence[int] | IntArray) -> FloatMatrix:
        """float32 [rows, labels] for these rows of the pool, from cached embeddings where that is possible."""
        if not len(rows):
            return np.zeros((0, len(model.labels)), np.float32)
        if model.shared_encoder is None:
            return model.predict_proba(self.pool_texts(pool_seq, rows))
        return model.score_vectors(self.pool_embeddings(model, pool_seq, rows)).probabilities

    def pool_embeddings(self, model: Model, pool_seq: int, rows: Sequence[int] | IntArray) -> FloatMatrix:
        """float32 [rows, dim] of these rows of the pool, as the model embeds them; from the cache where it can be."""
        if model.shared_encoder is None:
            return model.embed(self.pool_texts(pool_seq, rows))
        return self.pool_vectors(model.shared_encoder, pool_seq).vectors[np.asarray(rows, dtype=np.int64)]

    def pool_texts(self, pool_seq: int, rows: Sequence[int] | IntArray) -> list[str]:
        """The texts of these rows of the pool."""
        texts = self.task.pool.read(pool_seq).texts
        return [texts[int(row)] for row in rows]
