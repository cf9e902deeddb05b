"""Choose from which probability on a text gets a label, in tasks with several labels per text. Pure."""

from __future__ import annotations

import numpy as np

from tornio.arrays import BoolMatrix, BoolVector, DoubleArray
from tornio.models.decide import THRESHOLD
from tornio.models.head import LinearHead
from tornio.spec import AUTO_THRESHOLD, TaskSpec

PRIOR = 100.0
"""A label with so many examples has a threshold half-way between its own best one and the common one."""


def choose_thresholds(probabilities: DoubleArray, truth: BoolMatrix, counted: BoolMatrix) -> tuple[float, DoubleArray]:
    """Return the common threshold and those of the labels, float64 [labels].

    ``probabilities``: float64 [n, labels], of texts that the model did not learn from. ``truth``: bool of the same
    shape. ``counted``: bool of the same shape, the decisions that say something.

    The common threshold makes the micro-averaged F1 largest. The best of a label, by its own F1, is shrunk to it by
    n / (n + ``PRIOR``) for n examples of the label: with few examples the best threshold is mostly chance. Sources:
    Lipton, Elkan and Naryanaswamy (2014), "Optimal Thresholding of Classifiers to Maximize F1 Measure"; Yang (2001),
    "A Study on Thresholding Strategies for Text Categorization" (SCut, which overfits rare categories).

    Thresholds stay beside the head. To move them into its biases, so that .5 decides, would be simpler to serve, but
    it would spoil the probabilities: on GoEmotions the calibration error rises from .014 to .08 and more.
    """
    common = _best(probabilities[counted], truth[counted])
    shrunk = np.full(probabilities.shape[1], common)
    for label, (p, true, counts) in enumerate(zip(probabilities.T, truth.T, counted.T, strict=True)):
        examples = int(true[counts].sum())
        if examples:
            shrunk[label] = (examples * _best(p[counts], true[counts]) + PRIOR * common) / (examples + PRIOR)
    return common, shrunk


def _best(probabilities: DoubleArray, truth: BoolVector) -> float:
    """Return the threshold with the largest F1, the highest of ties; ``THRESHOLD`` where nothing is true.

    It lies half-way between the last probability that it accepts and the next one.
    """
    if not truth.any():
        return THRESHOLD
    order = np.argsort(-probabilities, kind="stable")
    p = np.append(probabilities[order], 0.0)
    f1 = 2 * np.cumsum(truth[order]) / (np.arange(1, len(order) + 1) + truth.sum())
    f1[p[:-1] == p[1:]] = -1.0  # no threshold lies between equal probabilities
    cut = int(f1.argmax())
    return float((p[cut] + p[cut + 1]) / 2)


def thresholds_of(spec: TaskSpec, head: LinearHead) -> dict[str, float]:
    """Return the thresholds by label that a version has: those that the spec sets, or else those of the training.

    Empty where a text has one label.
    """
    if not spec.multi_label:
        return {}
    if spec.classifier.threshold == AUTO_THRESHOLD:
        return dict(head.thresholds)
    return dict.fromkeys(spec.label_names, spec.classifier.threshold)
