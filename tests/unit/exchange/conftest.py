"""A task in memory whose versions are published like trained ones, and a version of it written as an export."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.checkpoints import tiny
from tornio.arrays import FloatMatrix
from tornio.exchange.bundle import bundle
from tornio.exchange.source import Source, read_source
from tornio.models.encoder import encoder_from
from tornio.models.fewshot import FewShotModel
from tornio.models.finetuned import FineTunedModel, write_model
from tornio.models.head import LinearHead
from tornio.models.kinds import FEW_SHOT, FINE_TUNED, LAYERED_FEW_SHOT
from tornio.models.loading import Loader
from tornio.models.port import TextEncoder
from tornio.models.pretrained import load_body
from tornio.models.probes import make_probes
from tornio.models.sources import describe
from tornio.registry import CURRENT, Encoders, NodeCache, Registry
from tornio.schemas.registry import EncoderUse, Manifest
from tornio.schemas.task import Iteration
from tornio.spec import TaskSpec
from tornio.storage import documents
from tornio.storage.memory import MemoryStore
from tornio.tasks import Task, Tasks

LABELS = ("refund", "late / lost", 'the "lid" é', "ماء")
TEXTS = ("the parcel came late", "", "great service thanks " * 40, "شكرا the lid is broken", "refund\nmissing my x y")


@dataclass
class Published:
    """A task in memory with versions. ``make`` publishes one that serves and returns its manifest."""

    folder: Path
    labels: Sequence[str] = LABELS
    multi_label: bool = False
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        labels = [{"name": name, "description": f"About *{name}*"} for name in self.labels]
        spec = {"workspace": "acme", "name": "reviews", "labels": labels, "multi_label": self.multi_label}
        Tasks(self.store).apply(TaskSpec.model_validate(spec), "tests")
        self.registry = Registry(self.store, self.task.keys)
        self.loader = Loader(self.store, NodeCache(self.folder / "cache", self.store), "float32")

    @property
    def task(self) -> Task:
        return Tasks(self.store).open("acme", "reviews")

    def few_shot(self, base: Path, kind: str = FEW_SHOT, **use: Any) -> Manifest:
        """Publish a head with random weights on a frozen encoder, used as ``use`` says."""
        used = self._use(base, **use)
        encoder = self.loader.encoder(used)
        return self._publish(FewShotModel(self._head(encoder), used, encoder), kind)

    def fine_tuned(self, base: Path, **use: Any) -> Manifest:
        """Publish a version with an encoder of its own."""
        used = self._use(base, **use)
        folder = self.folder / "trained"
        folder.mkdir()
        write_model(folder, load_body(base, "float32"), self._head(encoder_from(base, used, "float32")), base)
        return self._publish(FineTunedModel.load(folder, used, "float32"), FINE_TUNED)

    def source(self) -> Source:
        """The version that serves, as a client gets it."""
        folder = self.folder / "unpacked"
        with tarfile.open(fileobj=BytesIO(b"".join(bundle(self.task).tar))) as tar:
            tar.extractall(folder, filter="data")
        return read_source(folder)

    def expected(self, manifest: Manifest, texts: Sequence[str] = TEXTS) -> FloatMatrix:
        """float32 [n, labels]: what the server answers."""
        return self.loader.model(manifest).predict_proba(texts)

    def _use(self, base: Path, **use: Any) -> EncoderUse:
        source = describe(base, "hub:acme/tiny")
        document = Encoders(self.store).publish(
            base,
            source=source.source,
            commit="c0ffee",
            architecture=source.architecture,
            dimension=source.dimension,
            pooling=source.pooling,
            normalise=source.normalise,
            max_length=source.max_length,
        )
        return document.use(-1, 16).evolve(**use)

    def _head(self, encoder: TextEncoder) -> LinearHead:
        """Random weights, such that the logits of ``TEXTS`` differ."""
        vectors = encoder.embed(TEXTS).vectors
        weight = np.random.default_rng(0).normal(size=(len(self.labels), encoder.dimension)).astype(np.float32)
        weight *= 2 / (vectors @ weight.T).std(axis=0, keepdims=True).T
        bias = -(vectors @ weight.T).mean(axis=0)
        return LinearHead(tuple(self.labels), self.multi_label, weight, bias)

    def _publish(self, model: FewShotModel | FineTunedModel, kind: str) -> Manifest:
        folder = self.folder / "model"
        folder.mkdir()
        model.save(folder)
        now = datetime(2026, 1, 1, tzinfo=UTC)
        manifest = Manifest(
            version="v0001-a",
            workspace="acme",
            task="reviews",
            kind=kind,
            generation=1,
            iteration=1,
            labels=model.labels,
            label_set_rev=1,
            multi_label=model.multi_label,
            encoder=model.use,
            blobs={},
            metrics={"temperature": 1.5},
            counts={"training_texts": 40},
            thresholds={self.labels[0]: 0.25} if self.multi_label else {},
            probes=make_probes(model),
            run="train-1",
            label_seq=1,
            pool_seq=1,
            spec_rev=1,
            seed=0,
            software={},
            created_at=now,
        )
        published = self.registry.publish(manifest, folder)
        self.registry.move(CURRENT, manifest.version, 0, "tests", "first")
        metrics = {"n": 50, "accuracy": 0.84, "interval": [0.71, 0.92], "macro_f1": 0.8, "calibration_error": 0.03}
        iteration = Iteration(
            number=1,
            generation=1,
            batches=(),
            label_seq=1,
            pool_seq=1,
            spec_rev=1,
            labels=dict.fromkeys(self.labels, 10),
            texts=40,
            train_run="train-1",
            version=manifest.version,
            metrics=metrics,
            started_at=now,
            finished_at=now,
        )
        documents.create(self.store, self.task.keys.iteration(1), iteration)
        return published


@pytest.fixture
def published(tmp_path: Path) -> Published:
    return Published(tmp_path)


@pytest.fixture
def task_with(tmp_path: Path) -> Callable[..., Published]:
    """Make a task with other labels."""
    return lambda **options: Published(tmp_path, **options)


@pytest.fixture
def base(tmp_path: Path) -> Callable[..., Path]:
    """Save a random encoder; see ``tests.checkpoints.tiny``."""
    return lambda kind="Bert", **config: tiny(tmp_path / "base", kind, initializer_range=0.3, **config)


__all__ = ["FEW_SHOT", "LABELS", "LAYERED_FEW_SHOT", "TEXTS", "Published"]
