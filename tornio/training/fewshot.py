"""Fit a few-shot head: regularised logistic regression on frozen embeddings, strength and temperature chosen out of
fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tornio.arrays import FloatMatrix, FloatVector, IntArray
from tornio.errors import InvalidInput
from tornio.models.head import LinearHead
from tornio.training.calibration import OutOfSample
from tornio.training.regression import TOLERANCE, Coefficients, regress, rotated
from tornio.training.targets import UNSEEN_LOGIT, check_sufficient, indicators, stratified_folds

START_C = 10.0
"""The first strength that is tried: scikit-learn's C, the inverse of the L2 penalty. The search goes on from here, so
this value changes what the search costs and hardly what it finds."""
STEP_C = 10.0**0.5
LEAST_C, MOST_C = 1e-2, 1e5
"""Ends of the search. They only stop it where every step is better than the one before, for instance on examples that
any head separates."""
DEFAULT_C = 3.0
"""Used where there are too few examples to validate on."""
FOLDS = 5
MANY = 500
"""With more examples than this, two folds are enough: half of them say as much about strength and temperature, and
folds are what a training costs (CLINC150, 1,500 examples: the same accuracy with two folds as with three)."""
_COARSE = 5 * TOLERANCE
"""A head that is only fitted to compare strengths need not be exact."""


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

    Strength and temperature are those with the least log-loss out of fold, together. The temperature (Guo et al. 2017,
    "On Calibration of Modern Neural Networks", section 4.2) divides the logits. It is part of the head's weights, so
    that nothing that loads the head can leave it out. Unlike in the paper, it is fitted on predictions out of fold and
    not on a validation set, because few labels cannot spare one.

    The head's ``metrics``: ``examples``, ``c``, ``temperature``, and ``cv_log_loss`` where validation was possible. Its
    ``thresholds``, with several labels allowed, are chosen on the same predictions out of fold.

    Raises InvalidInput for labels that are not the task's, no examples, vectors that are not finite, or, without
    ``multi_label``, examples of one class only.
    """
    X = np.asarray(embeddings, dtype=np.float32)
    Y = indicators(labels, label_names, multi_label)
    if len(X) != len(Y):
        raise ValueError(f"{len(X)} embeddings for {len(Y)} rows of labels")
    check_sufficient(Y, label_names, multi_label)
    if not np.isfinite(X).all():
        raise InvalidInput("the embeddings are not all finite: the encoder is broken, choose another")
    # Encoders differ in the length of their vectors; the strengths are meant for length one.
    scale = float(np.sqrt((X.astype(np.float64) ** 2).sum(axis=1).mean())) or 1.0
    with threadpool_limits(1):  # matrices this small are several times slower on two contended threads
        X = X / np.float32(scale)
        chosen = _choose(X, Y, multi_label, seed, weights)
        examples = Examples(X, Y, multi_label, weights)
        if chosen.start is not None:
            examples.start(chosen.start)
        fitted = examples.fit(chosen.c)
    metrics = {"examples": float(len(X)), "c": chosen.c, "temperature": chosen.temperature}
    return replace(
        examples.head(fitted, label_names, scale, chosen.temperature),
        metrics=metrics | ({} if chosen.loss is None else {"cv_log_loss": chosen.loss}),
        thresholds=chosen.held.thresholds(chosen.temperature, label_names) if chosen.held else {},
    )


@dataclass(frozen=True, slots=True)
class _Choice:
    """Strength and temperature, their loss out of fold where it could be measured, and where the last fit may begin.

    ``held``: the predictions out of fold, before the temperature.
    """

    c: float = DEFAULT_C
    temperature: float = 1.0
    loss: float | None = None
    start: Coefficients | None = None
    held: OutOfSample | None = None


class Examples:
    """Some rows of the training data, in coordinates of their own; see ``rotated``."""

    def __init__(self, X: FloatMatrix, Y: IntArray, multi_label: bool, weights: FloatVector | None) -> None:
        self.Y = Y
        self._multi_label = multi_label
        self._X, self._rotation = rotated(X)
        self._dimension = X.shape[1]
        seen = Y.any(axis=0)
        self.learnable: NDArray[np.bool_] = np.asarray(seen & ~Y.all(axis=0) if multi_label else seen)
        """bool [labels]: the labels that the rows say something about."""
        self._fixed = np.where(seen, -UNSEEN_LOGIT, UNSEEN_LOGIT)
        self._weights = np.ones(len(Y), dtype=np.float32) if weights is None else weights
        if not multi_label:
            self._weights = self._weights * _balance(Y)
        self._last: Coefficients | None = None

    def fit(self, c: float, tolerance: float = TOLERANCE) -> Coefficients:
        """Return the coefficients of this strength, [labels, dim], started from those that were fitted last.

        A label without an example has a logit that is never predicted; one that every row has, a logit that always is.
        """
        if not self.learnable.any():
            nothing = np.zeros((len(self._fixed), self._dimension), dtype=np.float32)
            return Coefficients(nothing, self._fixed.astype(np.float32))
        columns = self.Y[:, self.learnable]
        self._last = regress(self._X, columns, self._weights, c, self._multi_label, self._last, tolerance)
        found = self._last.weight if self._rotation is None else self._last.weight @ self._rotation.T
        weight = np.zeros((len(self.learnable), found.shape[1]), dtype=np.float32)
        bias = self._fixed.astype(np.float32)
        weight[self.learnable], bias[self.learnable] = found, self._last.bias
        return Coefficients(weight, bias)

    def head(self, fitted: Coefficients, names: Sequence[str], scale: float, temperature: float) -> LinearHead:
        """Return the head of coefficients that were fitted to vectors divided by ``scale``."""
        return LinearHead(
            labels=tuple(names),
            multi_label=self._multi_label,
            weight=np.asarray(fitted.weight / (scale * temperature), dtype=np.float32),
            bias=np.where(self.learnable, fitted.bias / np.float32(temperature), fitted.bias),
        )

    def start(self, coefficients: Coefficients) -> None:
        """Let the next fit begin here."""
        weight = coefficients.weight[self.learnable]
        weight = weight if self._rotation is None else weight @ self._rotation
        self._last = Coefficients(weight, coefficients.bias[self.learnable])


def _balance(Y: IntArray) -> FloatVector:
    """Return the weight of each row with which all classes weigh the same, and all rows together their number."""
    counts = Y.sum(axis=0)
    return np.asarray(len(Y) / ((counts > 0).sum() * counts[Y.argmax(axis=1)]), dtype=np.float32)


class _OutOfFold:
    """Heads that are each trained without one fold, and their losses on that fold."""

    def __init__(self, X: FloatMatrix, Y: IntArray, multi_label: bool, seed: int, weights: FloatVector | None) -> None:
        self._X, self._Y, self._multi_label = X, Y, multi_label
        folds = stratified_folds(Y, FOLDS if len(Y) <= MANY else 2, seed)
        self._parts: list[tuple[NDArray[np.bool_], Examples]] = []
        self._counts = np.zeros(Y.shape, dtype=bool)
        for fold in np.unique(folds):
            held, rest = folds == fold, folds != fold
            part = Examples(X[rest], Y[rest], multi_label, None if weights is None else weights[rest])
            if part.learnable.sum() < (1 if multi_label else 2):
                continue
            self._parts.append((held, part))
            # An example whose class does not occur in the other folds says nothing about strength or temperature.
            self._counts[held] = part.learnable & (multi_label | (Y[held] == 1))
        self.fitted: list[Coefficients] = []
        self.out_of_sample: OutOfSample | None = None

    @property
    def possible(self) -> bool:
        return bool(self._counts.any())

    def loss(self, c: float) -> tuple[float, float]:
        """Return the least mean log-loss that a temperature gives to heads of this strength, and the temperature."""
        logits = np.zeros(self._Y.shape, dtype=np.float32)
        self.fitted = []
        for held, part in self._parts:
            self.fitted.append(part.fit(c, _COARSE))
            logits[held] = self.fitted[-1].logits(self._X[held])
        self.out_of_sample = OutOfSample(logits, self._Y, self._counts, self._multi_label)
        return self.out_of_sample.temperature()


def _choose(X: FloatMatrix, Y: IntArray, multi_label: bool, seed: int, weights: FloatVector | None) -> _Choice:
    """Return the strength whose loss out of fold is least: from ``START_C`` on upwards, or else downwards, in steps,
    until the loss rises.

    The loss does not use ``weights``, and every example counts the same in it: the temperature is to be right for the
    examples as they are.
    """
    heads = _OutOfFold(X, Y, multi_label, seed, weights)
    if not heads.possible:
        return _Choice()

    def tried(c: float) -> tuple[float, _Choice]:
        loss, temperature = heads.loss(c)
        return loss, _Choice(c, temperature, loss, _mean(heads.fitted), heads.out_of_sample)

    least, best = tried(START_C)
    for step in (STEP_C, 1 / STEP_C):
        while LEAST_C <= best.c * step <= MOST_C:
            loss, choice = tried(best.c * step)
            if loss >= least:
                break
            least, best = loss, choice
        if best.c != START_C:
            break
    return best


def _mean(heads: Sequence[Coefficients]) -> Coefficients:
    return Coefficients(np.mean([h.weight for h in heads], axis=0), np.mean([h.bias for h in heads], axis=0))
