"""Regularised logistic regression for one or several labels, started from an earlier minimum.

The objective is that of scikit-learn's ``LogisticRegression``: C times the weighted log-loss plus half the squared
length of the weights. The bias is not penalised. scipy's L-BFGS minimises it. scikit-learn's own class is not used
because it treats labels one by one and in double precision, which costs several times as much on many labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize

from tornio.arrays import DoubleArray, FloatMatrix, FloatVector, IntArray
from tornio.models.head import sigmoid, softmax

TOLERANCE = 1e-4
"""A fit ends when no entry of the gradient of the mean loss is larger. It is scikit-learn's value."""
_MOST_STEPS = 1000
_MEMORY = 5
"""Steps that L-BFGS remembers. With more, its own arithmetic costs as much as the objective on many labels."""
_JITTER = 1e-9
"""What is added to the squared length of each row, as a share of their mean."""
_Objective = Callable[[DoubleArray], tuple[float, DoubleArray]]


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Logits are ``X @ weight.T + bias``. ``weight``: float32 [labels, dim]; ``bias``: float32 [labels]."""

    weight: FloatMatrix
    bias: FloatVector

    def logits(self, X: FloatMatrix) -> FloatMatrix:
        """Return float32 [n, labels] for vectors float32 [n, dim]."""
        return np.asarray(X @ self.weight.T + self.bias, dtype=np.float32)


def regress(
    X: FloatMatrix,
    Y: IntArray,
    weights: FloatVector,
    c: float,
    multi_label: bool,
    start: Coefficients | None = None,
    tolerance: float = TOLERANCE,
) -> Coefficients:
    """Return the coefficients that minimise the objective.

    ``X``: float32 [n, dim]. ``Y``: int64 [n, labels] of 0 and 1; without ``multi_label`` each row has exactly one 1.
    With it, the labels are independent regressions with the same C, which are minimised together. ``weights``: float32
    [n], how much each row counts. ``c``: inverse strength of the penalty. ``start``: where to begin, for example the
    coefficients of another C.
    """
    labels, width = Y.shape[1], X.shape[1] + 1
    begun = np.zeros((labels, width)) if start is None else np.column_stack([start.weight, start.bias])
    # Without fewer than a tenth of single precision's steps, the objective itself cannot tell two points apart.
    options = {
        "maxiter": _MOST_STEPS,
        "gtol": tolerance,
        "ftol": float(np.finfo(np.float32).eps) / 10,
        "maxcor": _MEMORY,
    }
    objective = _objective(X, Y, weights, c, multi_label)
    found = minimize(objective, begun.astype(np.float64).ravel(), jac=True, method="L-BFGS-B", options=options)
    parameters = found.x.reshape(labels, width).astype(np.float32)
    return Coefficients(np.ascontiguousarray(parameters[:, :-1]), parameters[:, -1])


def _objective(X: FloatMatrix, Y: IntArray, weights: FloatVector, c: float, multi_label: bool) -> _Objective:
    """Return a function of the flat parameters, float64, that gives the mean objective and its gradient."""
    share = np.asarray(weights / weights.sum(), dtype=np.float32)[:, None]
    decay = 1.0 / (c * float(weights.sum()))
    chosen, target = Y.astype(bool), Y.astype(np.float32)

    def value_and_gradient(flat: DoubleArray) -> tuple[float, DoubleArray]:
        parameters = flat.reshape(Y.shape[1], -1)
        weight = parameters[:, :-1]
        logits = X @ weight.astype(np.float32).T + parameters[:, -1].astype(np.float32)
        if multi_label:
            probabilities = sigmoid(logits)
            losses = np.logaddexp(0.0, np.where(chosen, -logits, logits)).sum(axis=1)
        else:
            probabilities = softmax(logits)
            losses = -np.log(np.maximum(probabilities[chosen], np.finfo(np.float32).tiny))
        residual = (probabilities - target) * share
        gradient = np.empty_like(parameters)
        gradient[:, :-1] = residual.T @ X + decay * weight
        gradient[:, -1] = residual.sum(axis=0)
        penalty = 0.5 * decay * float(np.vdot(weight, weight))
        return float(losses.astype(np.float64) @ share[:, 0]) + penalty, gradient.ravel()

    return value_and_gradient


def rotated(X: FloatMatrix) -> tuple[FloatMatrix, FloatMatrix | None]:
    """Return X in coordinates of at most as many dimensions as it has rows, and the rotation [dim, rows], or None.

    The penalised minimum lies in the space that the rows span, so nothing is lost: coefficients in the new coordinates,
    times the rotation's transpose, are those in the old ones. The coordinates are the Cholesky factor of the rows'
    inner products, which costs half of a QR decomposition. ``_JITTER`` keeps it defined where rows are equal.
    """
    rows, dim = X.shape
    if rows >= dim or rows == 0:
        return X, None
    exact = X.astype(np.float64)
    products = exact @ exact.T
    products[np.diag_indices(rows)] += _JITTER * max(float(np.trace(products)) / rows, np.finfo(np.float32).tiny)
    factor = cholesky(products, lower=True, overwrite_a=True, check_finite=False)
    rotation = solve_triangular(factor, exact, lower=True, overwrite_b=True, check_finite=False).T
    return factor.astype(np.float32), np.ascontiguousarray(rotation, dtype=np.float32)
