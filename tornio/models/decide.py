"""Convert probabilities to labels. Predictions, suggestions and evaluation share this rule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tornio.arrays import BoolMatrix, DoubleArray, FloatMatrix

THRESHOLD = 0.5
"""In multi-label tasks a label is assigned if its probability is at least this."""


def decide(probabilities: FloatMatrix | DoubleArray, multi_label: bool) -> BoolMatrix:
    """Return which labels each row gets, bool [n, labels], for probabilities of the same shape.

    Single-label: the most probable label, the first one of ties. Multi-label: all labels with at least ``THRESHOLD``,
    which may be none.
    """
    if multi_label:
        return np.asarray(probabilities >= THRESHOLD)
    chosen = np.zeros(probabilities.shape, dtype=bool)
    chosen[np.arange(len(probabilities)), probabilities.argmax(axis=1)] = True
    return chosen


def decide_labels(probabilities: FloatMatrix, labels: Sequence[str], multi_label: bool) -> list[tuple[str, ...]]:
    """Return the names of the labels that ``decide`` gives each row, in the task's order.

    ``probabilities``: float32 [n, labels].
    """
    if multi_label:
        return [
            tuple(name for name, chosen in zip(labels, row, strict=True) if chosen)
            for row in decide(probabilities, multi_label)
        ]
    return [(labels[i],) for i in probabilities.argmax(axis=1)]
