"""Texts packed into batches: their tokens one after the other, no padding between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbours of equal length: ``rows`` texts of ``length`` tokens each, from token ``start`` of the batch on."""

    start: int
    rows: int
    length: int

    @property
    def tokens(self) -> slice:
        return slice(self.start, self.start + self.rows * self.length)


@dataclass(frozen=True, slots=True)
class Batch:
    """``rows``: places of its texts among all, longest first; ``lengths``: tokens of each; both int64 [n]."""

    rows: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @property
    def starts(self) -> NDArray[np.int64]:
        """int64 [n]: where the tokens of each text begin."""
        return np.cumsum(self.lengths) - self.lengths

    @property
    def runs(self) -> list[Run]:
        firsts = np.flatnonzero(np.diff(self.lengths, prepend=0))
        counts = np.diff(firsts, append=len(self.lengths))
        starts = self.starts
        return [Run(int(starts[i]), int(n), int(self.lengths[i])) for i, n in zip(firsts, counts, strict=True)]

    def concatenated(self, rows: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
        """int64 [T]: of one array a text, those of this batch in its order."""
        return np.concatenate([rows[i] for i in self.rows])


def packed_batches(lengths: Sequence[int], budget: int) -> Iterator[Batch]:
    """Batches of at most ``budget`` tokens, longest texts first; together they are each text once.

    ``lengths``: tokens of each text, at least 1. A text longer than the budget is a batch of its own. Sorted, so that
    texts of equal length are neighbours: the fewer runs a batch has, the fewer calls its attention takes.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    order = np.argsort(-sizes, kind="stable")
    ends = np.cumsum(sizes[order])
    start, before = 0, 0
    while start < len(order):
        end = max(start + 1, int(np.searchsorted(ends, before + budget, side="right")))
        yield Batch(order[start:end], sizes[order[start:end]])
        start, before = end, int(ends[end - 1])


def position_ids(ids: NDArray[np.int64], batch: Batch, padding: int | None) -> NDArray[np.int64]:
    """int64 [T]: the place of each token in its text.

    ``padding`` None: counted from 0. Else as RoBERTa counts (fairseq's make_positions): tokens that are not this id
    from ``padding`` + 1 on, and a token that is (somebody wrote "<pad>") stands at ``padding``.
    """
    if padding is None:
        return np.arange(len(ids)) - np.repeat(batch.starts, batch.lengths)
    real = (ids != padding).astype(np.int64)
    counted = np.cumsum(real)
    before = counted[batch.starts] - real[batch.starts]
    return np.asarray((counted - np.repeat(before, batch.lengths)) * real + padding)
