"""Short texts side by side in one row, so that little of a batch is padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WIDTH = 64
"""Tokens of a row that texts share: attention over it costs a fraction of the layers' matrices, and more would cost
more. A longer text has a row of its own."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rows:
    """``ids`` int64 [rows, width]; ``owners`` int64 [rows, width]: which text a token is of, -1 of none;
    ``positions`` int64 [rows, width]: where in its text a token stands, from 0; ``firsts`` int64 [texts]: where a
    text begins in the rows, written one after the other; ``lengths`` int64 [texts]."""

    ids: Ints
    owners: Ints
    positions: Ints
    firsts: Ints
    lengths: Ints


def pack(texts: Sequence[Ints], pad: int, width: int = WIDTH) -> Rows:
    """Lay texts, as token ids, into as few rows of ``width`` as there may be, or of the longest text where that is
    longer; ``width`` 1: a row each."""
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
