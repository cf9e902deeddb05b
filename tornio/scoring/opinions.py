"""Combine the probabilities of several experts into one opinion: a weighted product."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax

from tornio.arrays import BoolMatrix, FloatMatrix

LEAST = 1e-6
"""Probabilities are clipped to [LEAST, 1 - LEAST], so that one wrong expert cannot outvote all others."""
MOST_WEIGHT = 4.0

Weights = NDArray[np.float64]
Evidence = NDArray[np.float64]
"""float64 [experts, n, labels]: log-probabilities, or log-odds if a row may have several labels."""


def pooled(experts: Sequence[FloatMatrix], weights: Weights, multi_label: bool) -> FloatMatrix:
    """Return float32 [n, labels]: the product of probabilities, each to the power of its weight, scaled to sum to one.

    If a row may have several labels, the odds of each label are combined in the same way. This is the logarithmic
    opinion pool: Genest and Zidek (1986), "Combining Probability Distributions", section 4; Hinton (2002) calls it a
    product of experts.
    """
    logits = np.tensordot(weights, _evidence(experts, multi_label), axes=1)
    return np.asarray(expit(logits) if multi_label else np.exp(log_softmax(logits, axis=1)), dtype=np.float32)


def fit_weights(experts: Sequence[FloatMatrix], given: BoolMatrix, multi_label: bool) -> Weights:
    """Return float64 [experts] in [0, 4]: the weights that make the given labels most likely. The problem is convex.

    ``experts``: out-of-sample probabilities, float32 [n, labels] each. These few numbers depend on all rows, so that a
    single row that is scored later has no noticeable influence on them.
    """
    evidence = _evidence(experts, multi_label)
    optimum = minimize(
        _loss,
        np.full(len(evidence), 1.0 / len(evidence)),
        args=(evidence, given, multi_label),
        jac=True,
        bounds=[(0.0, MOST_WEIGHT)] * len(evidence),
        method="L-BFGS-B",
    )
    return np.asarray(optimum.x)


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
