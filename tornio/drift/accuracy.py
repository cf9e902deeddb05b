"""The accuracy on live texts, of which nobody knows the labels, estimated from how sure the version is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tornio.drift.counts import Counts
from tornio.drift.reference import Reference

Z = 1.96
"""Standard errors of an interval at 95 %."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimated share of right answers, with its 95 % interval."""

    value: float
    low: float
    high: float


def estimated_accuracy(live: Counts, held: Reference) -> Estimate | None:
    """Return the estimated share of live texts of which every label is right; None without texts on either side.

    It is the mean confidence, calibrated by the hold-out: shifted by how much the version is right more or less often
    there than it says. The interval has the chance of the answers, with variance p (1 - p) each, and the standard error
    of the shift.

    The estimate sees texts on which the version is unsure. It cannot see texts on which it is wrong and sure.

    Source: confidence-based performance estimation, CBPE (NannyML; Kivimäki et al. 2025, "Confidence-based estimators
    for predictive performance in model monitoring"). Deviations: the calibration is this shift and not an isotonic
    regression, for which hold-outs of some hundred texts are too small; and the interval is of two standard errors, not
    three, and includes that of the calibration.
    """
    n, m = live.texts, held.counts.texts
    if not n or not m:
        return None
    shift = held.score - held.counts.mean_confidence
    shift_variance = max(held.gap_squares / m - shift**2, 0.0) / m
    answers_variance = max(live.confidence_sum - live.confidence_squares, 0.0) / n**2
    half = Z * math.sqrt(answers_variance + shift_variance)
    value = live.mean_confidence + shift
    low, middle, high = np.clip([value - half, value, value + half], 0.0, 1.0).tolist()
    return Estimate(middle, low, high)


def confidence_error(live: Counts, held: Counts) -> float:
    """Return the standard error of the difference of the two mean confidences."""
    return math.sqrt(_variance(live) / max(live.texts, 1) + _variance(held) / max(held.texts, 1))


def _variance(counts: Counts) -> float:
    return max(counts.confidence_squares / max(counts.texts, 1) - counts.mean_confidence**2, 0.0)
