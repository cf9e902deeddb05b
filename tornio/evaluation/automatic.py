"""Which confident predictions may become labels without a person, so that few of them are wrong. Pure functions.

Source: Angelopoulos, Bates, Candès, Jordan and Lei (2021), "Learn then Test: Calibrating Predictive Algorithms to
Achieve Risk Control": fixed-sequence testing (section 3.2), with exact binomial p-values, because the loss is 0 or 1.
Deviation: the sequence does not begin at the threshold that labels nothing, which no number of labels could test, but
where one error among the held-out texts can still pass. That depends on the pool and on how many labels there are,
never on the labels themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta, binom

from tornio.arrays import BoolVector, FloatVector, IntArray

STEPS = 100
"""Thresholds of the grid: one for each percent of the pool. Neighbours share nearly all texts, so more of them neither
help nor harm a test in sequence."""
OUTLOOK = (1.25, 1.5, 2.0, 3.0, 5.0)
"""Numbers of held-out labels, as multiples of the present one, for which is said what they would allow."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A version's predictions for the held-out texts with a label.

    ``confidences``: float32 [n], the probability of the predicted label. ``predicted``: int64 [n], its number.
    ``right``: bool [n].
    """

    confidences: FloatVector
    predicted: IntArray
    right: BoolVector

    def __len__(self) -> int:
        return len(self.right)

    def of(self, label: int) -> HeldOut:
        """Return the texts for which this label is predicted."""
        rows = self.predicted == label
        return HeldOut(self.confidences[rows], self.predicted[rows], self.right[rows])

    def above(self, threshold: float) -> tuple[int, int]:
        """Return how many texts have at least this confidence, and how many of their predictions are wrong."""
        rows = self.confidences >= threshold
        return int(rows.sum()), int((~self.right[rows]).sum())


@dataclass(frozen=True, slots=True)
class Measured:
    """What the hold-out says about a threshold.

    ``coverage``: share of the unlabelled pool with at least this confidence. ``judged``: held-out texts with it;
    ``wrong``: how many of their predictions are wrong. ``bound``: upper confidence bound of the share of wrong labels.
    """

    threshold: float
    coverage: float
    judged: int
    wrong: int
    bound: float


def choose_threshold(pool: FloatVector, held: HeldOut, target_error: float, confidence: float) -> Measured | None:
    """Return the lowest threshold at which at most ``target_error`` of the labels are wrong; None where none passes.

    ``pool``: float32 [n], the confidences of the unlabelled pool, in any order. The chance that more than
    ``target_error`` of the predictions above the returned threshold are wrong is at most 1 - ``confidence``, over
    random draws of the hold-out.
    """
    chosen = None
    for threshold, coverage in _sequence(pool, len(held), target_error, confidence):
        judged, wrong = held.above(threshold)
        if not passes(judged, wrong, target_error, confidence):
            break
        chosen = threshold, coverage
    return None if chosen is None else measured(pool, held, chosen[0], confidence)


def passes(judged: int, wrong: int, target_error: float, confidence: float) -> bool:
    """Whether so few errors would be too unlikely, if more than ``target_error`` of all such predictions were wrong."""
    return bool(judged) and float(binom.cdf(wrong, judged, target_error)) <= 1 - confidence


def measured(pool: FloatVector, held: HeldOut, threshold: float, confidence: float) -> Measured:
    """Return what the hold-out says about any threshold. ``confidence``: that of the bound, which is exact."""
    judged, wrong = held.above(threshold)
    coverage = float((pool >= threshold).mean()) if len(pool) else 0.0
    return Measured(threshold, coverage, judged, wrong, upper_bound(judged, wrong, confidence))


def upper_bound(judged: int, wrong: int, confidence: float) -> float:
    """Return the exact one-sided upper confidence bound of a share; 1 where nothing was judged.

    Source: Clopper and Pearson (1934), "The Use of Confidence or Fiducial Limits".
    """
    return 1.0 if wrong >= judged else float(beta.ppf(confidence, wrong + 1, judged - wrong))


def lower_bound(judged: int, wrong: int, confidence: float) -> float:
    """Return the exact one-sided lower confidence bound of a share; 0 where nothing was judged."""
    return 0.0 if not wrong else float(beta.ppf(1 - confidence, wrong, judged - wrong + 1))


def least_labels(wrong: int, target_error: float, confidence: float) -> int:
    """Return how many labels above a threshold let it pass with so many errors among them."""
    enough = 1
    while not passes(enough, wrong, target_error, confidence):
        enough *= 2
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if passes(middle, wrong, target_error, confidence) else (middle, enough)
    return enough


def outlook(
    pool: FloatVector, held: HeldOut, target_error: float, confidence: float, sizes: Sequence[float] = OUTLOOK
) -> tuple[tuple[int, float], ...]:
    """Return numbers of held-out labels with the share of the pool that they would probably allow, each larger.

    It assumes that errors stay as frequent above each threshold as they are among the present labels, with half an
    error more, because none was seen is not that there is none.
    """
    found: list[tuple[int, float]] = []
    for size in sizes:
        total, covered = round(len(held) * size), 0.0
        for threshold, coverage in _sequence(pool, total, target_error, confidence):
            judged, wrong = held.above(threshold)
            more = round(judged * size)
            if not passes(more, round((wrong + 0.5) / (judged + 1) * more), target_error, confidence):
                break
            covered = coverage
        if covered > (found[-1][1] if found else 0.0):
            found.append((total, covered))
    return tuple(found)


def coverage_grid(pool: FloatVector, steps: int = STEPS) -> tuple[tuple[float, float], ...]:
    """Return thresholds at quantiles of the confidences, highest first, each with the share of the pool above it."""
    if not len(pool):
        return ()
    ascending = np.sort(pool)
    places = np.ceil(np.arange(1, steps + 1) / steps * len(pool)).astype(np.int64)
    thresholds = np.unique(ascending[len(pool) - places])[::-1]
    counts = len(pool) - np.searchsorted(ascending, thresholds, side="left")
    return tuple((float(one), int(count) / len(pool)) for one, count in zip(thresholds, counts, strict=True))


def _sequence(
    pool: FloatVector, labels: int, target_error: float, confidence: float
) -> tuple[tuple[float, float], ...]:
    """Return the thresholds in the order of the tests, each with its coverage.

    The first is the highest one above which so many of ``labels`` held-out texts are to be expected that one error
    passes; the lowest of all, where there are only enough for no error.
    """
    grid = coverage_grid(pool)
    enough = least_labels(1, target_error, confidence)
    return tuple(one for one in grid if one[1] * labels >= enough) or grid[-1:]
