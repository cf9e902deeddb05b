"""Strategies that ask for the texts of which the model is least sure."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from tornio.arrays import DoubleArray, FloatMatrix
from tornio.query.candidates import Candidates
from tornio.query.port import Selection
from tornio.spec import NoSettings


class _Uncertainty(ABC):
    """Picks the most uncertain candidates first. Between equal ones, the first in the pool wins.

    Uncertainties are scaled so that 1 is a uniform distribution and 0 is certainty. With several labels allowed, each
    label is a yes-or-no question of its own.
    """

    settings = NoSettings
    reads_pool = True

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        shown = self.uncertainty(candidates.probabilities, candidates.multi_label)
        rows = np.argsort(-shown, kind="stable")[:n].astype(np.int64)
        return Selection(rows, shown[rows])

    @abstractmethod
    def uncertainty(self, probabilities: FloatMatrix, multi_label: bool) -> DoubleArray:
        """float64 [m] in [0, 1] of probabilities, float [m, K]."""


class LeastConfidence(_Uncertainty):
    """One minus the largest probability; with several labels allowed, that of the most uncertain label.

    Source: Lewis and Gale (1994), "A Sequential Algorithm for Training Text Classifiers".
    """

    def uncertainty(self, probabilities: FloatMatrix, multi_label: bool) -> DoubleArray:
        p = np.asarray(probabilities, dtype=np.float64)
        if multi_label:
            return _closest_to_half(p)
        least = 1.0 / p.shape[1]
        return np.asarray(np.clip((1.0 - p.max(axis=1)) / (1.0 - least), 0.0, 1.0))


class BreakingTies(_Uncertainty):
    """How close the two largest probabilities are; with several labels allowed the same as ``LeastConfidence``.

    Source: Luo et al. (2005), "Active Learning to Recognize Multiple Types of Plankton", JMLR 6, section 3.
    """

    def uncertainty(self, probabilities: FloatMatrix, multi_label: bool) -> DoubleArray:
        p = np.asarray(probabilities, dtype=np.float64)
        if multi_label:
            return _closest_to_half(p)
        two = np.partition(p, -2, axis=1)[:, -2:]
        return np.asarray(np.clip(1.0 - (two[:, 1] - two[:, 0]), 0.0, 1.0))


class PredictionEntropy(_Uncertainty):
    """The entropy of the probabilities; with several labels allowed the mean over the labels.

    Source: Holub, Perona and Burl (2008), "Entropy-based active learning for object recognition".
    """

    def uncertainty(self, probabilities: FloatMatrix, multi_label: bool) -> DoubleArray:
        return entropy(probabilities, multi_label)


def entropy(probabilities: FloatMatrix, multi_label: bool) -> DoubleArray:
    """float64 [m] in [0, 1]: entropy over that of a uniform distribution."""
    p = np.asarray(probabilities, dtype=np.float64)
    if multi_label:
        return np.asarray(np.clip((_plogp(p) + _plogp(1.0 - p)).mean(axis=1) / np.log(2.0), 0.0, 1.0))
    normed = p / p.sum(axis=1, keepdims=True)  # float32 rows sum to one only nearly
    return np.asarray(np.clip(_plogp(normed).sum(axis=1) / np.log(p.shape[1]), 0.0, 1.0))


def _closest_to_half(p: DoubleArray) -> DoubleArray:
    return np.asarray(1.0 - 2.0 * np.abs(p - 0.5).min(axis=1))


def _plogp(p: DoubleArray) -> DoubleArray:
    """-p log p, which is 0 at 0."""
    return -p * np.log(np.where(p > 0, p, 1.0))
