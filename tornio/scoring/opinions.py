"""One opinion of several experts: a weighted product of their probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax

from tornio.arrays import BoolMatrix, FloatMatrix

LEAST = 1e-6
"""Less than this, or more than one less this, an expert cannot say: one that is wrong must not outvote all others."""
MOST_WEIGHT = 4.0

Weights = NDArray[np.float64]
Evidence = NDArray[np.float64]
"""float64 [experts, n, labels]: log-probabilities, or, with several labels allowed, log-odds."""


def pooled(experts: Sequence[FloatMatrix], weights: Weights, multi_label: bool) -> FloatMatrix:
    """float32 [n, labels]: the product of probabilities, each to the power of its weight, scaled to sum to one.

    With several labels allowed the same of each label's odds. The logarithmic opinion pool: Genest and Zidek (1986),
    "Combining Probability Distributions", section 4; Hinton (2002) calls it a product of experts.
    """
    logits = np.tensordot(weights, _evidence(experts, multi_label), axes=1)
    return np.asarray(expit(logits) if multi_label else np.exp(log_softmax(logits, axis=1)), dtype=np.float32)


def fit_weights(experts: Sequence[FloatMatrix], given: BoolMatrix, multi_label: bool) -> Weights:
    """float64 [experts] in [0, 4]: the weights under which the given labels are most likely; a convex problem.

    ``experts``: out-of-sample probabilities, float32 [n, labels] each. A handful of numbers from all rows: that the
    row which is judged later was among them does not matter.
    """
    evidence = _evidence(experts, multi_label)
    found = minimize(
        _loss,
        np.full(len(evidence), 1.0 / len(evidence)),
        args=(evidence, given, multi_label),
        jac=True,
        bounds=[(0.0, MOST_WEIGHT)] * len(evidence),
        method="L-BFGS-B",
    )
    return np.asarray(found.x)


def _evidence(experts: Sequence[FloatMatrix], multi_label: bool) -> Evidence:
    p = np.clip(np.asarray(experts, dtype=np.float64), LEAST, 1.0 - LEAST)
    return np.asarray(np.log(p) - np.log1p(-p) if multi_label else np.log(p))


def _loss(weights: Weights, evidence: Evidence, given: BoolMatrix, multi_label: bool) -> tuple[float, Weights]:
    """Mean log-loss and its gradient."""
    logits = np.tensordot(weights, evidence, axes=1)
    if multi_label:
        loss = np.logaddexp(0.0, np.where(given, -logits, logits)).sum()
        residual = expit(logits) - given
    else:
        logs = log_softmax(logits, axis=1)
        loss = -logs[given].sum()
        residual = np.exp(logs) - given
    return float(loss / len(given)), np.asarray(np.tensordot(evidence, residual, axes=2) / len(given))
