"""The tools of a job: the store, the node's cache, and models that stay loaded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

import numpy as np

import tornio
from jobs.parts import PartMapper
from jobs.soft_labels import SoftLabels, label_pool
from tornio.annotation.environment import annotation_from_environment
from tornio.annotation.port import AnnotationTool
from tornio.arrays import FloatMatrix, IntArray
from tornio.errors import InvalidInput
from tornio.models.loading import Loader
from tornio.models.port import Model
from tornio.pool.embeddings import EmbeddingCache
from tornio.registry import NodeCache, Registry
from tornio.schemas.keys import RunKeys
from tornio.schemas.registry import EncoderUse
from tornio.schemas.runs import RunPlan, RunProgress
from tornio.settings import LlmEndpoint, LlmSettings, NodeSettings
from tornio.spec import ClassifierSpec, TaskSpec
from tornio.storage.environment import store_from_environment
from tornio.storage.port import ObjectStore
from tornio.tasks import Task, Tasks
from tornio.tasks.encoder import encoder_of

log = logging.getLogger(__name__)

SOFTWARE = ("torch", "transformers", "scikit-learn", "numpy")
"""Packages whose versions are recorded with each result."""


@cache
def software() -> dict[str, str]:
    """Return the versions of Tornio and of the packages in ``SOFTWARE``. They are read once per process."""
    return {"tornio": tornio.__version__, **{name: metadata.version(name) for name in SOFTWARE}}


def version_name(iteration: int, run: str) -> str:
    """Return the name of the version that a run makes. Every attempt makes the same one."""
    return f"v{iteration:04d}-{run.rpartition('-')[2][:8]}"


@dataclass
class JobContext:
    """The state of a process that runs jobs. It is kept between runs, so that models stay loaded."""

    store: ObjectStore
    cache: NodeCache
    loader: Loader
    tasks: Tasks
    worker: str = field(default_factory=lambda: uuid4().hex)
    """Token of this process. It separates the attempts that this process began from those of a process that died."""
    mapper: PartMapper | None = None
    """Runs the parts of large work on several workers. None runs one part after the other in this process."""
    watch: Callable[[RunPlan, RunProgress], None] = lambda _plan, _progress: None
    """Called with the progress of a run."""
    annotation: Callable[[], AbstractContextManager[AnnotationTool]] = annotation_from_environment
    """Opens the annotation tool. Only the pods of the serving cluster have its key."""
    train_on_workers: Callable[[RunContext], None] | None = None
    """Lets several workers train and publish a run's version. None means that this process can only train alone."""

    @classmethod
    def over(
        cls,
        store: ObjectStore,
        cache_dir: Path,
        precision: str = "auto",
        endpoints: Mapping[str, LlmEndpoint] = MappingProxyType({}),
    ) -> JobContext:
        cache = NodeCache(cache_dir, store)
        return cls(store, cache, Loader(store, cache, precision, endpoints), Tasks(store))

    @classmethod
    def from_environment(cls, precision: str | None = None) -> JobContext:
        """Return the context that the environment describes (TORNIO_S3_... and TORNIO_...: see ``tornio.settings``).

        ``precision``: of the run, where it is fixed.
        """
        import torch

        node = NodeSettings()
        torch.set_num_threads(node.torch_threads)
        endpoints = LlmSettings().endpoints
        return cls.over(store_from_environment(), node.cache_dir, precision or node.precision, endpoints)


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
        """The run's task. Raises InvalidInput for a run without a task, and NotFound."""
        if self.plan.task is None:
            raise InvalidInput(f"{self.plan.job} works on a task, and run {self.run} names no task: plan it with one")
        task = self.job.tasks.open(self.plan.workspace, self.plan.task)
        task.labels.read()  # so that the pool knows which records were deleted
        return task

    @property
    def keys(self) -> RunKeys:
        return self.plan.run_keys

    @property
    def attempt_folder(self) -> str:
        return self.keys.attempt(self.attempt)

    def progress(self, stage: str, done: int, total: int | None, unit: str) -> None:
        """Report the progress of this attempt."""
        progress = RunProgress(run=self.run, attempt=self.attempt, stage=stage, done=done, total=total, unit=unit)
        self.job.watch(self.plan, progress)

    @property
    def registry(self) -> Registry:
        return Registry(self.job.store, self.task.keys)

    def encoder_use(self, classifier: ClassifierSpec) -> EncoderUse:
        """Return how this spec uses its encoder: see ``tasks.encoder.encoder_of``."""
        return encoder_of(self.task, classifier, self.job.loader)

    def layered_use(self, classifier: ClassifierSpec) -> EncoderUse:
        """Return how a few-shot head of this spec uses its encoder: the last layers, side by side."""
        return self.job.loader.layered(self.encoder_use(classifier))

    def embed_pool(self, use: EncoderUse, pool_seq: int) -> None:
        """Compute the embeddings of the pool up to ``pool_seq`` that are not in the cache yet."""
        loader, cache = self.job.loader, EmbeddingCache(self.job.store, self.task.keys)
        for _ in cache.parts(self.task.pool.read(pool_seq), use, loader.precision, loader.encoder(use).embed):
            pass

    def pool_rows(
        self,
        use: EncoderUse,
        pool_seq: int,
        rows: Sequence[int] | IntArray,
        compute: Callable[[FloatMatrix], FloatMatrix] = lambda vectors: vectors,
    ) -> FloatMatrix:
        """Return the embeddings of these rows of the pool up to ``pool_seq``, float32 [rows, dim], or what ``compute``
        makes of them, float32 [rows, width]. The whole pool is embedded once, then read from the cache."""
        encoder, loader = self.job.loader.encoder(use), self.job.loader
        if not len(rows):
            return compute(np.zeros((0, encoder.dimension), np.float32))
        cache, view = EmbeddingCache(self.job.store, self.task.keys), self.task.pool.read(pool_seq)
        chosen = np.asarray(rows, dtype=np.int64)
        return cache.mapped(view, chosen, use, loader.precision, encoder.embed, compute)

    def soft_labels(self, spec: TaskSpec, pool_seq: int) -> SoftLabels:
        """The probabilities that the spec's teacher gives to the whole pool up to ``pool_seq``, in its order.

        They are computed once, then read from the store. Raises InvalidInput where the spec has no teacher.
        """
        view = self.task.pool.read(pool_seq)
        return label_pool(self.job.loader, self.job.store, self.task.keys, spec, view, self.progress)

    def pool_probabilities(self, model: Model, pool_seq: int, rows: Sequence[int] | IntArray) -> FloatMatrix:
        """float32 [rows, labels] for these rows of the pool, from cached embeddings where that is possible."""
        if not len(rows):
            return np.zeros((0, len(model.labels)), np.float32)
        if model.shared_encoder is None:
            return model.predict_proba(self.pool_texts(pool_seq, rows))
        use = model.shared_encoder
        return self.pool_rows(use, pool_seq, rows, lambda vectors: model.score_vectors(vectors).probabilities)

    def pool_embeddings(self, model: Model, pool_seq: int, rows: Sequence[int] | IntArray) -> FloatMatrix:
        """float32 [rows, dim] of these rows of the pool, as the model embeds them; from the cache where it can be."""
        if model.shared_encoder is None:
            return model.embed(self.pool_texts(pool_seq, rows))
        return self.pool_rows(model.shared_encoder, pool_seq, rows)

    def pool_texts(self, pool_seq: int, rows: Sequence[int] | IntArray) -> list[str]:
        """The texts of these rows of the pool."""
        texts = self.task.pool.read(pool_seq).texts
        return [texts[int(row)] for row in rows]
