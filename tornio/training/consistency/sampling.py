"""Which labelled and unlabelled texts a training example consists of. Pure functions."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tornio.arrays import IntArray
from tornio.seeds import derive_seed


def drawn(purpose: str, seed: int, count: int, places: IntArray) -> IntArray:
    """Return int64 [n]: what is at these places of an endless series, in which each of ``count`` things comes once
    before any comes again, in random order."""
    passes, within = np.divmod(np.asarray(places, dtype=np.int64), count)
    result = np.empty(len(within), dtype=np.int64)
    for number in np.unique(passes).tolist():
        rows = passes == number
        result[rows] = _order(purpose, seed, count, number)[within[rows]]
    return result


@lru_cache(maxsize=8)
def _order(purpose: str, seed: int, count: int, number: int) -> IntArray:
    return np.random.default_rng(derive_seed("consistency", purpose, seed, number)).permutation(count)
