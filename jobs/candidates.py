"""The data about rows of the pool that a query run offers to a strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from jobs.context import RunContext
from tornio.arrays import FloatMatrix, FloatVector, IntArray
from tornio.errors import InvalidInput
from tornio.models.port import Model
from tornio.plugins import read_settings
from tornio.query import (
    COLD_STARTS,
    STRATEGIES,
    Candidates,
    Labelled,
    Selection,
    checked_rows,
    cold_start_settings,
)
from tornio.spec import TaskSpec
from tornio.tasks import training_set
from tornio.training.committee import fit_committee
from tornio.training.targets import indicators


@dataclass(frozen=True)
class PoolSource:
    """The ``Source`` of a task's candidates: its pool, its training labels, and the model that picks, if any."""

    context: RunContext
    spec: TaskSpec
    label_seq: int
    pool_seq: int
    spec_rev: int
    model: Model | None
    _kept: dict[int, FloatVector] = field(default_factory=dict, init=False, repr=False)

    @property
    def has_model(self) -> bool:
        return self.model is not None

    @property
    def linear(self) -> bool:
        return self.model is not None and self.model.linear

    def texts(self, rows: IntArray) -> list[str]:
        return self.context.pool_texts(self.pool_seq, rows)

    def probabilities(self, rows: IntArray) -> FloatMatrix:
        model = self._model()
        if self._kept and all(int(row) in self._kept for row in rows):
            return model.score_vectors(self.embeddings(rows)).probabilities
        return self.context.pool_probabilities(model, self.pool_seq, rows)

    def embeddings(self, rows: IntArray) -> FloatMatrix:
        """As ``Source.embeddings``. Those of a model with an encoder of its own are kept: nothing passes twice through
        it, neither for the probabilities that follow nor for a committee."""
        if self.model is None:
            # The use that the first few-shot version will have, so that the pool is embedded once.
            use = self.context.layered_use(self.spec.classifier)
            return self.context.pool_rows(use, self.pool_seq, rows)
        if self.model.shared_encoder is not None or not len(rows):
            return self.context.pool_embeddings(self.model, self.pool_seq, rows)
        if missing := [int(row) for row in rows if int(row) not in self._kept]:
            vectors = self.context.pool_embeddings(self.model, self.pool_seq, missing)
            self._kept.update(zip(missing, vectors, strict=True))
        return np.stack([self._kept[int(row)] for row in rows])

    def samples(self, rows: IntArray, passes: int, seed: int) -> NDArray[np.float32]:
        return self._model().sample_vectors(self.embeddings(rows), passes, seed)

    def committee(self, rows: IntArray, members: int, seed: int) -> NDArray[np.float32]:
        """As ``Source.committee``: few-shot heads on the model's embeddings, also where the model is fine-tuned."""
        spec, (taught, labels) = self.spec, self._training
        vectors = self.embeddings(taught)
        heads = fit_committee(vectors, labels, spec.label_names, spec.multi_label, members, seed)
        asked = self.embeddings(rows)
        return np.stack([head.probabilities(head.logits(asked)) for head in heads])

    def labelled(self) -> Labelled:
        rows, labels = self._training
        vectors = self.embeddings(rows)
        predicted = None if self.model is None else self.model.score_vectors(vectors).probabilities
        return Labelled(vectors, indicators(labels, self.spec.label_names, self.spec.multi_label), predicted)

    @cached_property
    def _training(self) -> tuple[IntArray, Sequence[tuple[str, ...]]]:
        """The rows with a training label, and their labels."""
        data = training_set(self.context.task, self.label_seq, self.pool_seq, self.spec, self.spec_rev)
        rows = self.context.task.pool.read(self.pool_seq).rows_of(data.record_ids)
        return np.asarray(rows, dtype=np.int64), data.labels

    def _model(self) -> Model:
        if self.model is None:
            raise InvalidInput("there is no version yet that could pick: choose another loop.cold_start")
        return self.model


def pick(source: PoolSource, rows: IntArray, wanted: int, seed: int) -> Selection:
    """Let the task's strategy pick at most ``wanted`` of these rows of the pool, or its cold start without a model.

    The selection's rows are positions among ``rows``. Raises MissingPlugin for a strategy that is not installed, and
    InvalidInput for one that picks what was not offered to it.
    """
    spec, loop, cold = source.spec, source.spec.loop, source.model is None
    name = loop.cold_start if cold else loop.strategy
    strategy = (COLD_STARTS if cold else STRATEGIES).get(name)
    values = cold_start_settings(loop) if cold else loop.strategy_settings
    settings = read_settings(strategy.settings, values, "loop.strategy_settings")
    candidates = Candidates(source, rows, spec.label_names, spec.multi_label, settings)
    selection = strategy.select(candidates, wanted, seed)
    positions = checked_rows(name, selection, len(rows), wanted)
    return Selection(np.asarray(positions, dtype=np.int64), selection.shown)
