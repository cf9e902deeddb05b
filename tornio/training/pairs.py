"""Which texts a contrastive training compares: pairs of one class, drawn without a list of all pairs. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tornio.arrays import IntArray
from tornio.seeds import derive_seed

Pairs = NDArray[np.int64]


def draw_pairs(classes: IntArray, count: int, seed: int) -> Pairs:
    """Return int64 [count, 2]: rows of two different texts of one class.

    ``classes``: int64 [n], the class of each text. All classes have the same number of pairs, or one more. In a class,
    the texts take turns to be first, and the second is any other text of it. The only text of a class is paired with
    itself: two passes over it have different dropout. Time and memory grow with ``count`` and n, and not with the
    number of possible pairs. The same arguments give the same pairs.
    """
    random = np.random.default_rng(derive_seed("pairs", seed))
    members = [np.flatnonzero(classes == one) for one in np.unique(classes)]
    shares = np.full(len(members), count // len(members))
    shares[random.permutation(len(members))[: count % len(members)]] += 1
    return np.concatenate([_of_class(rows, share, random) for rows, share in zip(members, shares, strict=True)])


def _of_class(rows: IntArray, count: int, random: np.random.Generator) -> Pairs:
    """Return int64 [count, 2] of the texts of one class."""
    turns = -(-count // len(rows))
    first = np.concatenate([random.permutation(len(rows)) for _ in range(turns)] or [np.zeros(0, dtype=np.int64)])
    first = first[:count]
    apart = random.integers(1, len(rows), count) if len(rows) > 1 else np.zeros(count, dtype=np.int64)
    return np.stack([rows[first], rows[(first + apart) % len(rows)]], axis=1)
