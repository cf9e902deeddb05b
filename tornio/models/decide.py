"""Convert probabilities to labels. Predictions, suggestions and evaluation share this rule."""

from __future__ import annotations

from collections.abc import Sequence

from tornio.arrays import FloatMatrix

THRESHOLD = 0.5
"""In multi-label tasks a label is assigned if its probability is at least this."""


def decide_labels(probabilities: FloatMatrix, labels: Sequence[str], multi_label: bool) -> list[tuple[str, ...]]:
    """Return the labels of each row, in the task's order.

    ``probabilities``: float32 [n, labels]. Single-label: the most probable label, the first one of ties. Multi-label:
    all labels with at least ``THRESHOLD``, which may be none.
    """
    if multi_label:
        return [
            tuple(name for name, chosen in zip(labels, row, strict=True) if chosen)
            for row in probabilities >= THRESHOLD
        ]
    return [(labels[i],) for i in probabilities.argmax(axis=1)]
