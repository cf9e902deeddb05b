"""Query strategies: how much a label of each text would tell. Pure functions of probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tornio.arrays import DoubleArray, FloatMatrix


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """``rank``: float64 [n], larger is wanted more. ``shown``: float64 [n] in [0, 1], larger is more uncertain."""

    rank: DoubleArray
    shown: DoubleArray

    @property
    def order(self) -> NDArray[np.intp]:
        """Rows in the order in which they are wanted; of equals the first."""
        return np.argsort(-self.rank, kind="stable")


def uncertainty(strategy: str, probabilities: FloatMatrix, multi_label: bool, seed: int) -> Uncertainty:
    """What a strategy makes of probabilities, float32 [n, labels].

    - ``least-confidence``: one minus the largest probability. Lewis and Gale (1994), "A Sequential Algorithm for
      Training Text Classifiers".
    - ``breaking-ties``: how close the two largest are. Luo et al. (2005), "Active Learning to Recognize Multiple Types
      of Plankton", JMLR 6, section 3.
    - ``prediction-entropy``: Holub, Perona and Burl (2008), "Entropy-based active learning for object recognition".
    - ``random``: a random order, which ``seed`` decides; what is shown is the entropy.

    With several labels allowed each label is a question of its own, yes or no; a text's uncertainty is that of its
    most uncertain label (least confidence, breaking ties, which are the same then) or the mean over labels (entropy).
    What is shown is scaled so that 1 is a uniform distribution. Raises ValueError for another strategy.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if strategy == "random":
        rank = np.random.default_rng(seed).permutation(len(p)).astype(np.float64)
        return Uncertainty(rank, _entropy(p, multi_label))
    if strategy not in _STRATEGIES:
        raise ValueError(f"there is no query strategy {strategy!r}: choose random, {', '.join(_STRATEGIES)}")
    shown = _STRATEGIES[strategy](p, multi_label)
    return Uncertainty(shown, shown)


def _least_confidence(p: DoubleArray, multi_label: bool) -> DoubleArray:
    if multi_label:
        return _closest_to_half(p)
    least = 1.0 / p.shape[1]
    return np.asarray(np.clip((1.0 - p.max(axis=1)) / (1.0 - least), 0.0, 1.0))


def _breaking_ties(p: DoubleArray, multi_label: bool) -> DoubleArray:
    if multi_label:
        return _closest_to_half(p)
    two = np.partition(p, -2, axis=1)[:, -2:]
    return np.clip(1.0 - (two[:, 1] - two[:, 0]), 0.0, 1.0)


def _entropy(p: DoubleArray, multi_label: bool) -> DoubleArray:
    if multi_label:
        return np.asarray(np.clip((_plogp(p) + _plogp(1.0 - p)).mean(axis=1) / np.log(2.0), 0.0, 1.0))
    normed = p / p.sum(axis=1, keepdims=True)  # float32 rows sum to one only nearly
    return np.asarray(np.clip(_plogp(normed).sum(axis=1) / np.log(p.shape[1]), 0.0, 1.0))


def _closest_to_half(p: DoubleArray) -> DoubleArray:
    return np.asarray(1.0 - 2.0 * np.abs(p - 0.5).min(axis=1))


def _plogp(p: DoubleArray) -> DoubleArray:
    """-p log p, which is 0 at 0."""
    return -p * np.log(np.where(p > 0, p, 1.0))


_STRATEGIES = {
    "least-confidence": _least_confidence,
    "breaking-ties": _breaking_ties,
    "prediction-entropy": _entropy,
}
