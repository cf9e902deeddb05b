"""Batches of packed texts: their tokens are concatenated without padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring texts of equal length: ``rows`` texts of ``length`` tokens, from token ``start`` of the batch."""

    start: int
    rows: int
    length: int

    @property
    def tokens(self) -> slice:
        return slice(self.start, self.start + self.rows * self.length)


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch, longest texts first. ``rows``: indices of its texts; ``lengths``: their tokens; both int64 [n]."""

    rows: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @property
    def starts(self) -> NDArray[np.int64]:
        """int64 [n]: index of the first token of each text."""
        return np.cumsum(self.lengths) - self.lengths

    @property
    def runs(self) -> list[Run]:
        firsts = np.flatnonzero(np.diff(self.lengths, prepend=0))
        counts = np.diff(firsts, append=len(self.lengths))
        starts = self.starts
        return [Run(int(starts[i]), int(n), int(self.lengths[i])) for i, n in zip(firsts, counts, strict=True)]

    def concatenated(self, rows: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Concatenate the arrays of this batch's texts to int64 [T]. ``rows``: one array per text, of all texts."""
        return np.concatenate([rows[i] for i in self.rows])


def packed_batches(lengths: Sequence[int], budget: int) -> Iterator[Batch]:
    """Yield batches of at most ``budget`` tokens, longest texts first. Every text is in exactly one batch.

    ``lengths``: tokens of each text, at least 1. A text longer than the budget is a batch of its own. Texts are sorted,
    so that texts of equal length are neighbours: the fewer runs a batch has, the fewer calls its attention takes.
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
    """Return the position of each token in its text, int64 [T].

    ``padding`` None: counted from 0. Otherwise as RoBERTa counts (fairseq's make_positions): tokens other than this id
    are counted from ``padding`` + 1, and a token of this id (a text contains "<pad>") has position ``padding``.
    """
    if padding is None:
        return np.arange(len(ids)) - np.repeat(batch.starts, batch.lengths)
    real = (ids != padding).astype(np.int64)
    counted = np.cumsum(real)
    before = counted[batch.starts] - real[batch.starts]
    return np.asarray((counted - np.repeat(before, batch.lengths)) * real + padding)
