"""One linear head per fold, on dense vectors or sparse words. Each scores the rows that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from tornio.arrays import BoolMatrix, DoubleArray, FloatMatrix, IntArray
from tornio.models.head import sigmoid, softmax
from tornio.scoring.folds import FoldVector
from tornio.scoring.measures import losses
from tornio.training.targets import UNSEEN_LOGIT

GRID = (0.3, 1.0, 3.0)
"""Inverse strengths of the L2 penalty, strongest first. Above 3 the heads memorise wrong labels."""

Features = Any
"""float32 [n, features], dense, or a scipy.sparse matrix in CSR form."""


@dataclass(frozen=True)
class Heads:
    """``weight``: float32 [heads, labels, features]; ``bias``: float32 [heads, labels]."""

    weight: NDArray[np.float32]
    bias: FloatMatrix
    multi_label: bool

    def probabilities(self, X: Features, fold: FoldVector) -> FloatMatrix:
        """Return float32 [n, labels]: the probabilities of each row by the head of its fold, int8 [n]."""
        heads, labels, width = self.weight.shape
        flat = np.ascontiguousarray(self.weight.reshape(heads * labels, width).T)
        products = np.asarray(X @ flat)
        logits = products.reshape(len(fold), heads, labels)[np.arange(len(fold)), fold] + self.bias[fold]
        return sigmoid(logits) if self.multi_label else softmax(logits)


def fit_heads(X: Features, given: BoolMatrix, fold: FoldVector, multi_label: bool) -> tuple[Heads, float]:
    """Return one head per fold, trained on the rows of all other folds, and the C that all heads share.

    ``fold``: int8 [n], in which each fold from 0 to the last occurs.

    C is the value of ``GRID`` with the least log-loss on the first fold. Classes are weighted by their frequency. With
    equal weights, wrongly labelled rows are attributed to rare classes (average precision of finding wrong labels on
    TREC: .90 against .83).
    """
    count = int(fold.max()) + 1
    first = [_fit(X[fold != 0], given[fold != 0], multi_label, c) for c in GRID]
    held = [_log_loss(head, X[fold == 0], given[fold == 0]) for head in first]
    best = int(np.argmin(held))  # of equal losses the strongest penalty
    others = [_fit(X[fold != k], given[fold != k], multi_label, GRID[best]) for k in range(1, count)]
    return _stacked([first[best], *others]), GRID[best]


def in_sample(X: FloatMatrix, given: BoolMatrix, multi_label: bool, c: float) -> FloatMatrix:
    """Return float32 [n, labels]: probabilities of one head that was trained on these very rows, for comparison."""
    return _fit(X, given, multi_label, c).probabilities(X, np.zeros(len(X), dtype=np.int8))


def _fit(X: Features, given: BoolMatrix, multi_label: bool, c: float) -> Heads:
    seen = given.any(axis=0)
    if multi_label or seen.sum() > 1:
        weight, bias = _regressions(X, given.astype(np.int64), multi_label, c)
    else:  # a single class needs no training
        weight, bias = np.zeros((given.shape[1], X.shape[1])), np.where(seen, 0.0, UNSEEN_LOGIT)
    single = [np.asarray(array, dtype=np.float32)[None] for array in (weight, bias)]
    return Heads(single[0], single[1], multi_label)


def _regressions(X: Features, Y: IntArray, multi_label: bool, c: float) -> tuple[DoubleArray, DoubleArray]:
    """Return weight [labels, dim] and bias [labels] of the regressions with this C.

    ``Y``: [n, labels] of 0 and 1, of at least two classes unless ``multi_label``.
    """
    weight = np.zeros((Y.shape[1], X.shape[1]))
    bias = np.full(Y.shape[1], UNSEEN_LOGIT)
    if multi_label:
        for j, column in enumerate(Y.T):
            if column.all():
                bias[j] = -UNSEEN_LOGIT
            elif column.any():
                (weight[j],), (bias[j],) = _regression(X, column, c)
        return weight, bias
    seen = np.flatnonzero(Y.any(axis=0))
    fitted, offsets = _regression(X, Y.argmax(axis=1), c)
    if len(seen) == 2:  # scikit-learn returns one row, the second class against the first: give each class half of it
        fitted, offsets = np.vstack([-fitted, fitted]) / 2, np.concatenate([-offsets, offsets]) / 2
    weight[seen], bias[seen] = fitted, offsets
    return weight, bias


def _regression(X: Features, y: IntArray, c: float) -> tuple[DoubleArray, DoubleArray]:
    model = LogisticRegression(C=c, max_iter=1000).fit(X, y)
    return model.coef_, model.intercept_


def _stacked(heads: list[Heads]) -> Heads:
    weight, bias = (np.concatenate([getattr(head, name) for head in heads]) for name in ("weight", "bias"))
    return Heads(weight, bias, heads[0].multi_label)


def _log_loss(head: Heads, X: Features, given: BoolMatrix) -> float:
    p = head.probabilities(X, np.zeros(len(given), dtype=np.int8)).astype(np.float64)
    confidence = np.where(given, p, 1.0 - p) if head.multi_label else p[given]
    return float(losses(confidence).mean())
