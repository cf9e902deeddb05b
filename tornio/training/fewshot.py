"""Fit a few-shot head: regularised logistic regression on frozen embeddings, its L2 chosen by cross-validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tornio.arrays import DoubleArray, FloatMatrix, FloatVector, IntArray
from tornio.errors import InvalidInput
from tornio.models.head import LinearHead
from tornio.training.targets import UNSEEN_LOGIT, check_sufficient, indicators, stratified_folds

GRID = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Inverse strengths of the L2 penalty (scikit-learn's C), strongest penalty first.

The grid ends at 10. The records that a query strategy picks lie near the decision boundaries, so cross-validation
chooses less regularisation than is best for the rest of the pool (TREC, 260 labels: about .79 with a grid to 10, .78
with a grid to 30).
"""
DEFAULT_C = 3.0
"""Used where there are too few examples to validate on."""
FOLDS = 5
_LEAST = 1e-6
"""Smallest probability in the log-loss. A smaller one counts as this."""


def fit_few_shot(
    embeddings: FloatMatrix,
    labels: Sequence[tuple[str, ...]],
    label_names: Sequence[str],
    multi_label: bool,
    seed: int,
    weights: FloatVector | None = None,
) -> LinearHead:
    """Return the head that these examples make. The same input in the same order gives the same head, so sort it by
    record_id.

    ``embeddings``: float32 [n, dim]. ``labels``: the labels of each row, exactly one each unless ``multi_label``.
    ``weights``: float32 [n], how much each example counts; None means 1 each. Classes have the same weight whatever
    their number of examples, because what a strategy queried does not show how frequent a class is in the pool. With
    several labels allowed there is one regression per label (one-vs-rest), without class weights, with one C for all.
    The head's ``metrics``: ``examples``, ``c``, and ``cv_log_loss`` where validation was possible.

    Raises InvalidInput for labels that are not the task's, no examples, vectors that are not finite, or, without
    ``multi_label``, examples of one class only.
    """
    X = np.asarray(embeddings, dtype=np.float64)
    Y = indicators(labels, label_names, multi_label)
    if len(X) != len(Y):
        raise ValueError(f"{len(X)} embeddings for {len(Y)} rows of labels")
    check_sufficient(Y, label_names, multi_label)
    if not np.isfinite(X).all():
        raise InvalidInput("the embeddings are not all finite: the encoder is broken, choose another")
    if weights is not None and (weights == 1).all():
        weights = None
    # Encoders differ in the length of their vectors; the grid is meant for length one.
    scale = float(np.sqrt((X**2).sum(axis=1).mean())) or 1.0
    with threadpool_limits(1):  # matrices this small are several times slower on two contended threads
        c, loss = _choose_c(X / scale, Y, multi_label, seed, weights)
        weight, bias = fit_regressions(X / scale, Y, multi_label, c, weights=weights)
    metrics = {"examples": float(len(X)), "c": c} | ({} if loss is None else {"cv_log_loss": loss})
    return LinearHead(
        labels=tuple(label_names),
        multi_label=multi_label,
        weight=np.asarray(weight / scale, dtype=np.float32),
        bias=np.asarray(bias, dtype=np.float32),
        metrics=metrics,
    )


def _choose_c(
    X: DoubleArray, Y: IntArray, multi_label: bool, seed: int, weights: FloatVector | None
) -> tuple[float, float | None]:
    """Return the C of the grid with the smallest held-out log-loss, and that loss. Where nothing can be held out,
    return the default and None.

    Single label: the loss is the mean over classes, as the fit weighs them. An example whose class does not occur in
    the other folds says nothing about C and is left out. The held-out loss does not use ``weights``.
    """
    folds = stratified_folds(Y, FOLDS, seed)
    losses = np.full((len(GRID), *Y.shape), np.nan)
    for fold in range(FOLDS):
        held, rest = folds == fold, folds != fold
        learnable = Y[rest].any(axis=0)
        if not held.any() or learnable.sum() < (1 if multi_label else 2):
            continue
        for g, c in enumerate(GRID):
            weight, bias = fit_regressions(
                X[rest], Y[rest], multi_label, c, weights=None if weights is None else weights[rest]
            )
            loss = _log_losses(X[held] @ weight.T + bias, Y[held], multi_label)
            losses[g, held] = np.where(learnable & (multi_label | (Y[held] == 1)), loss, np.nan)
    columns = ~np.isnan(losses[0]).all(axis=0)
    if not columns.any():
        return DEFAULT_C, None
    means = np.nanmean(losses[:, :, columns], axis=1).mean(axis=1)
    best = int(means.argmin())  # of equal losses, the one with the strongest penalty
    return GRID[best], float(means[best])


def _log_losses(logits: DoubleArray, Y: IntArray, multi_label: bool) -> DoubleArray:
    """Return the log-loss of each example and label, [n, labels]. Single label: only the column of the example's class
    has a meaning."""
    if multi_label:
        losses = np.logaddexp(0.0, np.where(Y == 1, -logits, logits))
    else:
        losses = logsumexp(logits, axis=1, keepdims=True) - logits
    return np.asarray(np.minimum(losses, -np.log(_LEAST)))


def fit_regressions(
    X: DoubleArray,
    Y: IntArray,
    multi_label: bool,
    c: float,
    balanced: bool = True,
    weights: FloatVector | None = None,
) -> tuple[DoubleArray, DoubleArray]:
    """Return weight [labels, dim] and bias [labels] of the regression with this C.

    ``X``: [n, dim], dense or sparse; ``Y``: [n, labels] of 0 and 1, of at least two classes unless ``multi_label``.
    ``balanced``: without ``multi_label``, whether classes have the same weight whatever their number of examples.
    ``weights``: float32 [n], or None for 1 each.
    """
    weight = np.zeros((Y.shape[1], X.shape[1]))
    bias = np.full(Y.shape[1], UNSEEN_LOGIT)
    if multi_label:
        for j, column in enumerate(Y.T):
            if column.all():
                bias[j] = -UNSEEN_LOGIT
            elif column.any():
                (weight[j],), (bias[j],) = _regression(X, column, c, None, weights)
        return weight, bias
    seen = np.flatnonzero(Y.any(axis=0))
    fitted, offsets = _regression(X, Y.argmax(axis=1), c, "balanced" if balanced else None, weights)
    if len(seen) == 2:  # scikit-learn returns one row, the second class against the first: give each class half of it
        fitted, offsets = np.vstack([-fitted, fitted]) / 2, np.concatenate([-offsets, offsets]) / 2
    weight[seen], bias[seen] = fitted, offsets
    return weight, bias


def _regression(
    X: DoubleArray, y: IntArray, c: float, class_weight: str | None, weights: FloatVector | None
) -> tuple[DoubleArray, DoubleArray]:
    model = LogisticRegression(C=c, class_weight=class_weight, max_iter=1000).fit(X, y, sample_weight=weights)
    return model.coef_, model.intercept_
