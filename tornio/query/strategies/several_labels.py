"""Strategies for tasks in which a text has several labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from tornio.arrays import BoolMatrix, DoubleArray, FloatMatrix, IntArray
from tornio.models.decide import decide
from tornio.query.candidates import Candidates
from tornio.query.port import Selection
from tornio.query.strategies.uncertainty import chosen
from tornio.query.vectors import Bounded, blocks, drawn, highest, plogp
from tornio.spec import NoSettings, Spec, TaskSpec, setting


class AdaptiveSettings(Spec):
    """The settings of ``adaptive``."""

    uncertainty: float = setting(
        0.5,
        change="live",
        ge=0,
        le=1,
        doc="Weight of the uncertainty; the rest is that of the number of labels. Default .5.",
    )


class _OfSeveralLabels(ABC):
    """Picks the texts with the highest score. Between equal ones, the first in the pool wins."""

    settings: type[Spec] = NoSettings
    reads_pool = True

    def refusal(self, settings: Any, task: TaskSpec) -> str:
        return "" if task.multi_label else "needs texts with several labels (multi_label: true)"

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        return chosen(candidates, highest(self.scores(candidates), n))

    @abstractmethod
    def scores(self, candidates: Candidates) -> DoubleArray:
        """float64 [m]."""


class LabelCardinalityInconsistency(_OfSeveralLabels):
    """Picks the texts whose number of predicted labels is least like that of labelled texts.

    Source: Li and Guo (2013), "Active Learning with Multi-Label SVM Classification", IJCAI, section 3.2. A label is
    predicted from a probability of .5 on. Without a labelled text, the mean number of predicted labels takes the place
    of that of labelled texts.
    """

    def scores(self, candidates: Candidates) -> DoubleArray:
        return cardinality_gap(candidates.probabilities, candidates.labelled.labels)


class Adaptive(_OfSeveralLabels):
    """Picks by the product of uncertainty and ``LabelCardinalityInconsistency``, each to a power.

    Source: Li and Guo (2013), section 3.3. The uncertainty is one over the margin between the least probable label that
    is predicted and the most probable one that is not; where there is none of one kind, .5 takes its place. Margins
    below .01 count as that, and one is added to the difference of the numbers of labels, so that neither factor
    decides alone (both as in small-text). Unlike in the paper, the weight is a setting and is not chosen anew for each
    text by the expected error, which would train a model for each candidate.
    """

    settings = AdaptiveSettings

    def scores(self, candidates: Candidates) -> DoubleArray:
        weight = candidates.settings.uncertainty
        gap = cardinality_gap(candidates.probabilities, candidates.labelled.labels) + 1.0
        uncertainty = 1.0 / np.maximum(separation(candidates.probabilities), 0.01)
        return np.asarray(uncertainty**weight * gap ** (1.0 - weight))


class CategoryVectorInconsistency(_OfSeveralLabels):
    """Picks texts that are uncertain on most labels and whose predicted labels are unlike those of labelled texts.

    Source: Reyes, Morell and Ventura (2018), "Effective active learning strategy for multi-label learning",
    Neurocomputing 273, section 3 (CVIRS). The score is the product of ``borda`` and ``vector_distance``. small-text
    has the strategy too, but uses the Hamming distance in place of the entropy distance, and the order of the texts in
    place of their ranks; ours are the paper's. Without a labelled text, the score is ``borda`` alone.
    """

    settings = Bounded

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        positions = drawn(candidates, n, seed)
        scores = self.scores(candidates.take(positions))
        return chosen(candidates, positions[highest(scores, n)])

    def scores(self, candidates: Candidates) -> DoubleArray:
        p = candidates.probabilities
        ranks, labels = borda(p), candidates.labelled.labels
        if not len(labels):
            return ranks
        return np.asarray(ranks * vector_distance(decide(p, True), labels.astype(bool)))


def cardinality_gap(probabilities: FloatMatrix, labels: IntArray) -> DoubleArray:
    """float64 [m]: the difference between the number of predicted labels and the mean number of ``labels`` [l, K]."""
    counts = np.asarray(decide(probabilities, True).sum(axis=1), dtype=np.float64)
    if not len(counts):
        return counts
    usual = float(labels.sum(axis=1).mean()) if len(labels) else float(counts.mean())
    return np.asarray(np.abs(counts - usual))


def separation(probabilities: FloatMatrix) -> DoubleArray:
    """float64 [m]: least probability of a predicted label, or .5, minus the largest of one that is not, or .5."""
    predicted = decide(probabilities, True)
    least = np.where(predicted, probabilities, np.inf).min(axis=1)
    most = np.where(predicted, -np.inf, probabilities).max(axis=1)
    half = np.float32(0.5)
    return np.asarray(np.where(predicted.any(1), least, half) - np.where(predicted.all(1), half, most), np.float64)


def borda(probabilities: FloatMatrix) -> DoubleArray:
    """float64 [m] in [0, 1]: the mean over the labels of how many texts are less uncertain on it, as a share of the
    others. The uncertainty is |2 p - 1|; of equals the first ranks first."""
    rows, labels = probabilities.shape
    points, places = np.zeros(rows), np.arange(rows - 1, -1, -1)
    for label in range(labels):
        order = np.argsort(np.abs(2.0 * probabilities[:, label] - 1.0), kind="stable")
        points[order] += places
    return np.asarray(points / (labels * max(1, rows - 1)))


def vector_distance(predicted: BoolMatrix, labels: BoolMatrix) -> DoubleArray:
    """float64 [m]: the mean distance of each predicted label vector [m, K] to the labelled ones [l, K].

    The distance is the normalised entropy distance, (2 H(a, b) - H(a) - H(b)) / H(a, b), of the two vectors as K pairs
    of bits, and 1 where they differ everywhere. Equal vectors are computed once.
    """
    kinds, kind = np.unique(predicted, axis=0, return_inverse=True)
    others, counts = np.unique(labels, axis=0, return_counts=True)
    found = np.zeros(len(kinds))
    for block in blocks(len(kinds), 16 * len(others)):
        found[block] = _entropy_distances(kinds[block], others) @ (counts / counts.sum())
    return found[kind.ravel()]


def _entropy_distances(a: BoolMatrix, b: BoolMatrix) -> DoubleArray:
    """float64 [a, b]."""
    labels = a.shape[1]
    left, right = a.astype(np.float64), b.astype(np.float64)
    both = left @ right.T
    of_a, of_b = left.sum(axis=1)[:, None], right.sum(axis=1)[None, :]
    only_a, only_b = of_a - both, of_b - both
    cells = (both, only_a, only_b, labels - both - only_a - only_b)
    joint = sum((plogp(cell / labels) for cell in cells), np.zeros(both.shape))
    alone = [plogp(x / labels) + plogp(1.0 - x / labels) for x in (of_a, of_b)]
    apart = 2.0 * joint - alone[0] - alone[1]
    distance = np.where(joint > 0, apart / np.where(joint > 0, joint, 1.0), 0.0)
    return np.where(only_a + only_b == labels, 1.0, np.maximum(distance, 0.0))
