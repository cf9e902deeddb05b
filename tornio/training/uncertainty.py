"""What passes with dropout say of texts, and which texts a student learns from: the choices of UST. Pure.

Source: Mukherjee and Awadallah (2020), "Uncertainty-aware Self-training for Few-shot Text Classification", sections 3
and 4. Deviations: see ``docs/self-training.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tornio.arrays import DoubleArray, FloatVector, IntArray

Preference = Literal["easy", "hard"]
_LEAST = 1e-10
"""Added to a probability or a variance before its logarithm, as in the authors' code."""


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """What the passes say of n texts.

    ``mean``: float64 [n, classes], the mean probability of each class. ``information``: float64 [n], how much an answer
    would tell about the network (BALD), in nats. ``variance``: float64 [n], the variance over the passes of the
    probability of the class that ``mean`` says.
    """

    mean: DoubleArray
    information: DoubleArray
    variance: DoubleArray

    @classmethod
    def of(cls, passes: DoubleArray) -> Votes:
        """``passes``: float64 [passes, n, classes], probabilities.

        BALD (Houlsby et al. 2011) is the entropy of the mean less the mean entropy: section 3.1 of the paper.
        """
        mean = passes.mean(axis=0)
        information = _entropy(mean) - _entropy(passes).mean(axis=0)
        said = np.take_along_axis(passes, mean.argmax(axis=1)[None, :, None], axis=2)[:, :, 0]
        return cls(mean, np.maximum(information, 0.0), said.var(axis=0))

    @property
    def classes(self) -> IntArray:
        """The class of each text, int64 [n]: its pseudo-label."""
        return np.asarray(self.mean.argmax(axis=1), dtype=np.int64)

    def weights(self, alpha: float) -> FloatVector:
        """Return float32 [n], how much each text counts for a student: ``-alpha log(variance)``, section 3.3."""
        return np.asarray(-alpha * np.log(self.variance + _LEAST), dtype=np.float32)

    def table(self) -> DoubleArray:
        """Return float64 [n, classes + 2], which ``from_table`` reads."""
        return np.column_stack([self.mean, self.information, self.variance])

    @classmethod
    def from_table(cls, table: DoubleArray) -> Votes:
        return cls(table[:, :-2], table[:, -2], table[:, -1])


def choose(votes: Votes, count: int, prefer: Preference, seed: int) -> IntArray:
    """Return rows, int64 [m], sorted: of each class the same number of texts, ``count`` in all, without replacement.

    Each draw takes a text with a probability that is proportional to ``1 - BALD`` (easy) or ``BALD`` (hard): section
    3.2. Of a class to which fewer texts belong, all are taken; of a class of the votes there is at least one.
    """
    chances = np.maximum(1.0 - votes.information, 0.0) if prefer == "easy" else votes.information
    quota = max(1, count // votes.mean.shape[1])
    # The smallest of exponential times, each divided by a chance, are a draw without replacement by these chances.
    times = np.random.default_rng(seed).exponential(size=len(chances)) / np.maximum(chances, _LEAST)
    said, rows = votes.classes, np.argsort(times, kind="stable")
    taken = [rows[said[rows] == label][:quota] for label in range(votes.mean.shape[1])]
    return np.sort(np.concatenate(taken)).astype(np.int64)


def _entropy(probabilities: NDArray[np.float64]) -> DoubleArray:
    return np.asarray(-(probabilities * np.log(probabilities + _LEAST)).sum(axis=-1))
