"""The data that a query strategy may use. Each value is computed at its first use, and only for the candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tornio.arrays import FloatMatrix, IntArray
from tornio.errors import InvalidInput
from tornio.models.decide import decide
from tornio.spec import NoSettings


@dataclass(frozen=True, slots=True)
class Labelled:
    """The rows that have a training label. ``embeddings``: float32 [l, d]; ``labels``: int64 [l, K] of 0 and 1.

    ``probabilities``: float32 [l, K] of the newest model, or None where there is no model.
    """

    embeddings: FloatMatrix
    labels: IntArray
    probabilities: FloatMatrix | None = None

    @property
    def teaches(self) -> bool:
        """Whether two rows have different labels, without which nothing can be learned from them."""
        return len(self.labels) > 1 and bool((self.labels != self.labels[0]).any())


@dataclass(frozen=True, slots=True)
class GradientEmbeddings:
    """The gradient of the loss by the weights of a linear head, at the label that the model predicts.

    The gradient of row i is the outer product of ``residuals[i]``, float32 [m, K], and ``vectors[i]``, float32 [m, d].
    The factors are kept apart: a product of two gradients is a product of their factors, without [m, K * d] numbers.
    Source: Ash et al. (2020), "Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds", section 3.
    """

    residuals: FloatMatrix
    vectors: FloatMatrix

    def dense(self) -> FloatMatrix:
        """float32 [m, K * d]."""
        outer = self.residuals[:, :, None] * self.vectors[:, None, :]
        return np.asarray(outer.reshape(len(outer), -1), dtype=np.float32)


class Source(Protocol):
    """Computes the data of candidates from their rows in the pool, int64 [m]. Raises InvalidInput if a model is needed
    and there is none."""

    def texts(self, rows: IntArray) -> list[str]: ...

    def probabilities(self, rows: IntArray) -> FloatMatrix:
        """float32 [m, K]."""

    def embeddings(self, rows: IntArray) -> FloatMatrix:
        """float32 [m, d], of the model's encoder, or of the task's encoder where there is no model."""

    def samples(self, rows: IntArray, passes: int, seed: int) -> NDArray[np.float32]:
        """float32 [passes, m, K]: probabilities of several stochastic passes."""

    def committee(self, rows: IntArray, members: int, seed: int) -> NDArray[np.float32]:
        """float32 [members, m, K]: probabilities of heads that each weigh the labelled rows otherwise. It is asked for
        only where ``labelled().teaches``."""

    def labelled(self) -> Labelled: ...

    @property
    def has_model(self) -> bool:
        """Whether a version was trained already, which gives probabilities."""

    @property
    def linear(self) -> bool:
        """Whether the model is a linear head on its embeddings."""


@dataclass(frozen=True)
class Candidates:
    """Texts that may be asked next. m is their number, K the number of labels, d the width of an embedding."""

    source: Source
    rows: IntArray
    """int64 [m]: their rows in the pool."""
    labels: tuple[str, ...]
    multi_label: bool
    settings: Any = field(default_factory=NoSettings)
    """An instance of the strategy's own settings model."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def has_model(self) -> bool:
        """Whether there are probabilities. A cold start has none."""
        return self.source.has_model

    @cached_property
    def texts(self) -> list[str]:
        return self.source.texts(self.rows)

    @cached_property
    def probabilities(self) -> FloatMatrix:
        """float32 [m, K] of the newest model. Raises InvalidInput where there is none yet."""
        return self.source.probabilities(self.rows)

    @cached_property
    def embeddings(self) -> FloatMatrix:
        """float32 [m, d]."""
        return self.source.embeddings(self.rows)

    @cached_property
    def labelled(self) -> Labelled:
        """The embeddings and labels of the rows that have a training label."""
        return self.source.labelled()

    @cached_property
    def gradient_embeddings(self) -> GradientEmbeddings:
        """See ``GradientEmbeddings``. Raises InvalidInput for a model that is not a linear head on embeddings."""
        self.needs_linear_head()
        vectors = self.embeddings  # before the probabilities, which may follow from them
        p = self.probabilities
        residuals = np.asarray(p - decide(p, self.multi_label), dtype=np.float32)
        return GradientEmbeddings(residuals, vectors)

    def needs_linear_head(self) -> None:
        """Raise InvalidInput for a model that is not a linear head on embeddings."""
        if not self.source.linear:
            raise InvalidInput("this strategy needs a model with a linear head: choose another loop.strategy")

    def samples(self, passes: int, seed: int) -> NDArray[np.float32]:
        """float32 [passes, m, K]: probabilities of stochastic passes. Raises InvalidInput where there is no model."""
        return self.source.samples(self.rows, passes, seed)

    def committee(self, members: int, seed: int) -> NDArray[np.float32]:
        """float32 [members, m, K]: probabilities of several models that the labelled rows allow.

        Each is a head on the embeddings that weighs the labelled rows otherwise. Where these teach nothing, because
        there are none or all have the same label, stochastic passes of the model take their place. Raises InvalidInput
        where there is no model either.
        """
        if self.has_model and not self.labelled.teaches:
            return self.samples(members, seed)
        return self.source.committee(self.rows, members, seed)

    def take(self, positions: Sequence[int] | IntArray) -> Candidates:
        """The candidates at these positions. What was computed of these candidates is not computed again."""
        chosen = np.asarray(positions, dtype=np.int64)
        taken = replace(self, rows=self.rows[chosen])
        taken._share({name: self.__dict__[name][chosen] for name in _OF_EACH & self.__dict__.keys()}, self)
        return taken

    def given(self, settings: Any) -> Candidates:
        """The same candidates for another strategy, with its settings."""
        same = replace(self, settings=settings)
        same._share({name: self.__dict__[name] for name in _OF_EACH & self.__dict__.keys()}, self)
        return same

    def _share(self, computed: Mapping[str, Any], other: Candidates) -> None:
        self.__dict__.update(computed)
        if _LABELLED in other.__dict__:
            self.__dict__[_LABELLED] = other.__dict__[_LABELLED]

    def subsample(self, n: int, seed: int) -> IntArray:
        """At most ``n`` positions, int64 ascending, drawn uniformly: a slow strategy can ``take`` these first."""
        if len(self) <= n:
            return np.arange(len(self), dtype=np.int64)
        return np.sort(np.random.default_rng(seed).choice(len(self), n, replace=False)).astype(np.int64)


_OF_EACH, _LABELLED = {"probabilities", "embeddings"}, "labelled"
"""Cached values of ``Candidates``: those with an entry for each candidate, and the one that is of others."""


@dataclass(frozen=True)
class ArraySource:
    """A ``Source`` over arrays in memory, for tests and simulations. Using a value that is None is an error."""

    probability_rows: FloatMatrix | None = None
    embedding_rows: FloatMatrix | None = None
    text_rows: Sequence[str] = ()
    labelled_rows: Labelled | None = None
    sample_rows: NDArray[np.float32] | None = None
    committee_rows: NDArray[np.float32] | None = None
    linear: bool = True

    @property
    def has_model(self) -> bool:
        return self.probability_rows is not None

    def texts(self, rows: IntArray) -> list[str]:
        return [self.text_rows[int(row)] for row in rows]

    def probabilities(self, rows: IntArray) -> FloatMatrix:
        return _given(self.probability_rows, "probabilities")[rows]

    def embeddings(self, rows: IntArray) -> FloatMatrix:
        return _given(self.embedding_rows, "embeddings")[rows]

    def samples(self, rows: IntArray, passes: int, seed: int) -> NDArray[np.float32]:
        return _given(self.sample_rows, "stochastic passes")[:passes, rows]

    def committee(self, rows: IntArray, members: int, seed: int) -> NDArray[np.float32]:
        return _given(self.committee_rows, "heads of a committee")[:members, rows]

    def labelled(self) -> Labelled:
        if self.labelled_rows is None:
            raise InvalidInput("there are no labelled rows here")
        return self.labelled_rows


def _given(array: NDArray[np.float32] | None, what: str) -> NDArray[np.float32]:
    if array is None:
        raise InvalidInput(f"there are no {what} here")
    return array
