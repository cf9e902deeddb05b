"""Probabilities by the labels of similar rows, out of sample: the neighbours are from other folds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tornio.arrays import BoolMatrix, FloatMatrix
from tornio.scoring.folds import FoldVector

BLOCK = 256
"""Rows that are compared at once, to bound the memory."""
MOST_NEIGHBOURS = 100
TEMPERATURE = 0.1
"""Temperature of the weights, exp(cosine / temperature)."""


@dataclass(frozen=True)
class Neighbours:
    """Labelled rows that others are compared with.

    ``vectors``: float32 [m, dim], centred and of length one; ``centre``: float32 [dim]; ``given``: bool [m, labels];
    ``fold``: int8 [m].
    """

    vectors: FloatMatrix
    centre: NDArray[np.float32]
    given: BoolMatrix
    fold: FoldVector

    def probabilities(self, vectors: FloatMatrix, fold: FoldVector) -> FloatMatrix:
        """Return float32 [n, labels]: weighted share of each label among the nearest rows of other folds.

        Cosine similarity; sqrt(m) neighbours, but at most ``MOST_NEIGHBOURS``, and the average of all rows as one more.
        Rows of the same fold are left out everywhere, so also the row itself and all its copies. After Bahri, Jiang and
        Gupta (2020), "Deep k-NN for noisy labels". The weights and the average are deviations.
        """
        labels = self.given.astype(np.float32)
        averages = np.stack([labels[self.fold != k].mean(axis=0) for k in range(int(self.fold.max()) + 1)])
        elsewhere = len(labels) - int(np.bincount(self.fold).max())  # so many rows at least are in other folds
        near = min(MOST_NEIGHBOURS, round(len(labels) ** 0.5), elsewhere)
        shares = np.empty((len(vectors), labels.shape[1]), dtype=np.float32)
        for start in range(0, len(vectors), BLOCK):
            here = slice(start, start + BLOCK)
            cosine = _unit(vectors[here] - self.centre) @ self.vectors.T
            cosine[fold[here, None] == self.fold[None]] = -np.inf
            nearest = np.argpartition(-cosine, near - 1, axis=1)[:, :near]
            nearest.sort(axis=1)  # sums are taken in one order
            shares[here] = _share(np.take_along_axis(cosine, nearest, axis=1), labels[nearest], averages[fold[here]])
        return shares


def find_neighbours(vectors: FloatMatrix, given: BoolMatrix, fold: FoldVector) -> Neighbours:
    """Return these rows, float32 [m, dim], prepared for the comparison."""
    centre = np.asarray(vectors.mean(axis=0, dtype=np.float64), dtype=np.float32)
    return Neighbours(_unit(vectors - centre), centre, given, fold)


def _share(cosine: FloatMatrix, labels: NDArray[np.float32], average: FloatMatrix) -> FloatMatrix:
    """The weighted mean [n, labels] of labels [n, k, labels] by similarities [n, k], with the average among them."""
    weight = np.exp((cosine - cosine.max(axis=1, keepdims=True)) / TEMPERATURE)
    votes = (weight[..., None] * labels).sum(axis=1)
    return np.asarray((votes + average) / (weight.sum(axis=1, keepdims=True) + 1.0), dtype=np.float32)


def _unit(vectors: FloatMatrix) -> FloatMatrix:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), dtype=np.float32)
