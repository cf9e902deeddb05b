"""What live texts are compared with: the hold-out, as the version answered it when it was judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tornio.arrays import BoolVector, DoubleArray, IntArray
from tornio.drift.counts import Counts
from tornio.schemas.live import LiveReference


@dataclass(frozen=True, slots=True)
class Reference:
    """See ``LiveReference``. ``confusion``: int64 [labels, labels], rows are true labels; None with several labels."""

    counts: Counts
    right: int
    gap_squares: float
    confusion: IntArray | None

    @property
    def score(self) -> float:
        """The share of the hold-out texts of which every label is right."""
        return self.right / max(self.counts.texts, 1)

    @property
    def part(self) -> LiveReference:
        """The same as a part of a document."""
        table = None if self.confusion is None else tuple(tuple(row) for row in self.confusion.tolist())
        return LiveReference(
            counts=self.counts.part,
            labels=self.counts.labels,
            right=self.right,
            gap_squares=self.gap_squares,
            confusion=table,
        )

    @classmethod
    def of(cls, part: LiveReference) -> Reference:
        """Return a reference that was stored."""
        table = None if part.confusion is None else np.array(part.confusion, dtype=np.int64)
        return cls(Counts.of(part.counts, part.labels), part.right, part.gap_squares, table)


def reference(
    counts: Counts,
    confidence: DoubleArray,
    right: BoolVector,
    predicted: Sequence[Sequence[str]],
    truth: Sequence[Sequence[str]],
    multi_label: bool,
) -> Reference:
    """Return the reference of hold-out texts.

    ``counts``: of these texts. ``confidence``: float64 [n], see ``confidence_of``. ``right``: bool [n]. ``predicted``
    and ``truth``: their labels.
    """
    gaps = right.astype(np.float64) - confidence
    table = None if multi_label else _confusion(counts.labels, predicted, truth)
    return Reference(counts, int(right.sum()), float(gaps @ gaps), table)


def _confusion(labels: Sequence[str], predicted: Sequence[Sequence[str]], truth: Sequence[Sequence[str]]) -> IntArray:
    column = {name: position for position, name in enumerate(labels)}
    table = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for true, given in zip(truth, predicted, strict=True):
        table[column[true[0]], column[given[0]]] += 1
    return table
