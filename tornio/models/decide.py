"""From probabilities to labels: the one rule that predictions, suggestions and judgement share."""

from __future__ import annotations

from collections.abc import Sequence

from tornio.arrays import FloatMatrix

THRESHOLD = 0.5
"""With several labels allowed, a label is given from this probability on."""


def decide_labels(probabilities: FloatMatrix, labels: Sequence[str], multi_label: bool) -> list[tuple[str, ...]]:
    """The labels of each row, in the task's order.

    ``probabilities``: float32 [n, labels]. One label each: the most probable, the first of equals. Several: all
    from ``THRESHOLD`` on, which may be none.
    """
    if multi_label:
        return [tuple(name for name, on in zip(labels, row, strict=True) if on) for row in probabilities >= THRESHOLD]
    return [(labels[i],) for i in probabilities.argmax(axis=1)]
