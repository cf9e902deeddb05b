"""Calibration on predictions for examples that a model did not learn from: one temperature, and thresholds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, logsumexp

from tornio.arrays import BoolMatrix, DoubleArray, FloatMatrix, IntArray
from tornio.training.thresholds import choose_thresholds

_LEAST = 1e-6
"""Smallest probability in the log-loss. A smaller one counts as this."""
_LOG_TEMPERATURES = (-4.0, 4.0)


@dataclass(frozen=True, slots=True, eq=False)
class OutOfSample:
    """Predictions by models that did not learn from the examples.

    ``logits``: float32 [n, labels]. ``Y``: int64 of the same shape, 0 and 1. ``counts``: bool of the same shape, the
    decisions that say something: a label of which the model saw no example says nothing.
    """

    logits: FloatMatrix
    Y: IntArray
    counts: BoolMatrix
    multi_label: bool

    def temperature(self) -> tuple[float, float]:
        """Return the least mean log-loss that a temperature gives, and the temperature, which divides the logits.

        Source: Guo et al. (2017), "On Calibration of Modern Neural Networks", section 4.2. Unlike there, one more
        example counts, of which nobody knows the label: see ``_doubt``. ``counts`` must not be all False.
        """

        def mean(log_temperature: float) -> float:
            scaled = self.logits / np.exp(log_temperature)
            losses = _log_losses(scaled, self.Y, self.multi_label)[self.counts]
            return float((losses.sum() + self._doubt(scaled)) / (len(losses) + 1))

        found = minimize_scalar(mean, bounds=_LOG_TEMPERATURES, method="bounded", options={"xatol": 0.01})
        return float(found.fun), float(np.exp(found.x))

    def thresholds(self, temperature: float, label_names: Sequence[str]) -> dict[str, float]:
        """Return the threshold of each label; none where a text has one label. See ``choose_thresholds``."""
        if not self.multi_label:
            return {}
        probabilities = expit(self.logits.astype(np.float64) / temperature)
        _, thresholds = choose_thresholds(probabilities, self.Y == 1, self.counts)
        return dict(zip(label_names, thresholds.tolist(), strict=True))

    def _doubt(self, logits: FloatMatrix) -> float:
        """Return the mean log-loss of one more example, of which nobody knows the label.

        Without it, few examples that are all right would make a head infinitely sure. The idea is that of Platt (1999),
        "Probabilistic Outputs for Support Vector Machines", section 2.2, who counts one more example of each class.
        """
        if self.multi_label:
            alike = (np.full_like(self.Y, y) for y in (0, 1))
            return float(np.mean([_log_losses(logits, Y, True)[self.counts].mean() for Y in alike]))
        rows, seen = self.counts.any(axis=1), self.Y.any(axis=0)
        return float(_log_losses(logits, self.Y, False)[rows][:, seen].mean())


def _log_losses(logits: FloatMatrix, Y: IntArray, multi_label: bool) -> DoubleArray:
    """Return the log-loss of each example and label, [n, labels]. Single label: as if the label were the example's."""
    if multi_label:
        losses = np.logaddexp(0.0, np.where(Y == 1, -logits, logits))
    else:
        losses = logsumexp(logits, axis=1, keepdims=True) - logits
    return np.asarray(np.minimum(losses, -np.log(_LEAST)))
