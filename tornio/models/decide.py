"""Convert probabilities to labels. Predictions, suggestions and evaluation share this rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tornio.arrays import BoolMatrix, DoubleArray, FloatMatrix

THRESHOLD = 0.5
"""In multi-label tasks a label is assigned if its probability is at least this, where its version names no other."""


def decide(
    probabilities: FloatMatrix | DoubleArray, multi_label: bool, thresholds: DoubleArray | float = THRESHOLD
) -> BoolMatrix:
    """Return which labels each row gets, bool [n, labels], for probabilities of the same shape.

    Single-label: the most probable label, the first one of ties. Multi-label: all labels with at least their threshold,
    which may be none. A row of NaN gets no label. ``thresholds``: one for all, or float64 [labels].
    """
    if multi_label:
        return np.asarray(probabilities >= thresholds)
    chosen = np.zeros(probabilities.shape, dtype=bool)
    chosen[np.arange(len(probabilities)), probabilities.argmax(axis=1)] = True
    return chosen & ~np.isnan(probabilities)


def decide_labels(
    probabilities: FloatMatrix, labels: Sequence[str], multi_label: bool, thresholds: Mapping[str, float] | None = None
) -> list[tuple[str, ...]]:
    """Return the names of the labels that ``decide`` gives each row, in the task's order.

    ``probabilities``: float32 [n, labels]. ``thresholds``: those of the model's version, by label; ``THRESHOLD`` for a
    label that is not among them.
    """
    if multi_label:
        least = np.array([(thresholds or {}).get(name, THRESHOLD) for name in labels], dtype=np.float64)
        return [
            tuple(name for name, chosen in zip(labels, row, strict=True) if chosen)
            for row in decide(probabilities, multi_label, least)
        ]
    return [(labels[i],) for i in probabilities.argmax(axis=1)]
