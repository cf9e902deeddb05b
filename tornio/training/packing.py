"""Several short texts in one row, so that little of a batch is padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WIDTH = 64
"""Tokens of a row that texts share. At this width attention costs a fraction of the layers' matrices; a wider row would
cost more. A longer text has a row of its own."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Packed texts.

    ``ids``: int64 [rows, width]. ``owners``: int64 [rows, width], the text that a token belongs to, -1 for padding.
    ``positions``: int64 [rows, width], the place of a token in its text, from 0. ``firsts``: int64 [texts], where a
    text begins in the flattened rows. ``lengths``: int64 [texts].
    """

    ids: Ints
    owners: Ints
    positions: Ints
    firsts: Ints
    lengths: Ints

    @property
    def places(self) -> Ints:
        """int64 [tokens]: where each token of each text is in the flattened rows, text after text."""
        starts = np.cumsum(self.lengths) - self.lengths
        return np.repeat(self.firsts - starts, self.lengths) + np.arange(int(self.lengths.sum()))


def pack(texts: Sequence[Ints], pad: int, width: int = WIDTH) -> Rows:
    """Put texts, as token ids, into as few rows as possible. A row has ``width`` tokens, or as many as the longest text
    where that is longer. ``width`` 1 means one row per text."""
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    count = min(len(texts), -(-int(lengths.sum()) // max(width, int(lengths.max()))) if width > 1 else len(texts))
    filled = np.zeros(count, dtype=np.int64)
    places = np.zeros((len(texts), 2), dtype=np.int64)
    for number in np.argsort(-lengths, kind="stable"):
        row = int(filled.argmin())
        places[number] = row, filled[row]
        filled[row] += lengths[number]
    rows = Rows(
        ids=np.full((count, filled.max()), pad, dtype=np.int64),
        owners=np.full((count, filled.max()), -1, dtype=np.int64),
        positions=np.zeros((count, filled.max()), dtype=np.int64),
        firsts=places[:, 0] * filled.max() + places[:, 1],
        lengths=lengths,
    )
    for number, (text, (row, start)) in enumerate(zip(texts, places, strict=True)):
        span = slice(start, start + len(text))
        rows.ids[row, span] = text
        rows.owners[row, span] = number
        rows.positions[row, span] = np.arange(len(text))
    return rows
