"""The data about rows of the pool that a query run offers to a strategy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.context import RunContext
from tornio.arrays import FloatMatrix, IntArray
from tornio.errors import InvalidInput
from tornio.models.port import Model
from tornio.query import Labelled
from tornio.spec import TaskSpec
from tornio.tasks import training_set
from tornio.training.targets import indicators


@dataclass(frozen=True)
class PoolSource:
    """The ``Source`` of a task's candidates: its pool, its training labels, and the model that picks, if any."""

    context: RunContext
    spec: TaskSpec
    label_seq: int
    pool_seq: int
    model: Model | None

    @property
    def has_model(self) -> bool:
        return self.model is not None

    @property
    def linear(self) -> bool:
        return self.model is not None and self.model.linear

    def texts(self, rows: IntArray) -> list[str]:
        return self.context.pool_texts(self.pool_seq, rows)

    def probabilities(self, rows: IntArray) -> FloatMatrix:
        return self.context.pool_probabilities(self._model(), self.pool_seq, rows)

    def embeddings(self, rows: IntArray) -> FloatMatrix:
        if self.model is not None:
            return self.context.pool_embeddings(self.model, self.pool_seq, rows)
        # The use that the first few-shot version will have, so that the pool is embedded once.
        use = self.context.layered_use(self.spec.classifier)
        return self.context.pool_rows(use, self.pool_seq, rows)

    def samples(self, rows: IntArray, passes: int, seed: int) -> NDArray[np.float32]:
        return self._model().sample_vectors(self.embeddings(rows), passes, seed)

    def labelled(self) -> Labelled:
        data = training_set(self.context.task, self.label_seq, self.pool_seq, self.spec)
        rows = self.context.task.pool.read(self.pool_seq).rows_of(data.record_ids)
        return Labelled(self.embeddings(rows), indicators(data.labels, self.spec.label_names, self.spec.multi_label))

    def _model(self) -> Model:
        if self.model is None:
            raise InvalidInput("there is no version yet that could pick: choose another loop.cold_start")
        return self.model
