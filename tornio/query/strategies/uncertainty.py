"""Strategies that ask for the texts of which the model is least sure."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from tornio.arrays import DoubleArray, FloatMatrix, IntArray
from tornio.query.candidates import Candidates
from tornio.query.port import Selection
from tornio.query.vectors import blocks, highest, plogp
from tornio.spec import NoSettings


class _Uncertainty(ABC):
    """Picks the most uncertain candidates first. Between equal ones, the first in the pool wins.

    Uncertainties are scaled so that 1 is a uniform distribution and 0 is certainty. With several labels allowed, each
    label is a yes-or-no question of its own.
    """

    settings = NoSettings
    reads_pool = True

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        p = candidates.probabilities
        parts = [self.uncertainty(p[block], candidates.multi_label) for block in blocks(len(p))]
        shown = np.concatenate([*parts, np.zeros(0)])
        rows = highest(self.sign * shown, n)
        return Selection(rows, shown[rows])

    sign = 1.0
    """-1 for a strategy that picks the most certain ones instead."""

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


class MostConfident(LeastConfidence):
    """The reverse of ``LeastConfidence``: a part of ``mixed``, since a sure prediction that an annotator corrects shows
    a systematic error, and one that is confirmed shows that the annotator is right. It teaches little by itself."""

    sign = -1.0


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
        return np.asarray(np.clip((plogp(p) + plogp(1.0 - p)).mean(axis=1) / np.log(2.0), 0.0, 1.0))
    normed = p / p.sum(axis=1, keepdims=True)  # float32 rows sum to one only nearly
    return np.asarray(np.clip(plogp(normed).sum(axis=1) / np.log(p.shape[1]), 0.0, 1.0))


def chosen(candidates: Candidates, rows: IntArray) -> Selection:
    """Return these rows with the prediction entropy of each, or without where there is no model."""
    if not candidates.has_model:
        return Selection(rows)
    picked = candidates.take(rows)
    return Selection(rows, entropy(picked.probabilities, picked.multi_label))


def _closest_to_half(p: DoubleArray) -> DoubleArray:
    return np.asarray(1.0 - 2.0 * np.abs(p - 0.5).min(axis=1))
