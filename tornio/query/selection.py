"""What a batch is made of: the strategy's records and the hold-out's part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tornio.records import Purpose

MIN_HOLDOUT = 2
"""Hold-out records that every batch carries, however small."""


@dataclass(frozen=True, slots=True)
class Picked:
    """A row of the pool, and what it is asked for."""

    row: int
    purpose: Purpose


def pick_batch(
    wanted: Sequence[int], reserve: Sequence[int], size: int, holdout_share: float, seed: int
) -> list[Picked]:
    """The rows of a batch in a random order, so that annotators cannot tell the hold-out by its place.

    ``wanted``: rows that may be queried, in the strategy's order; ``reserve``: rows that only judge. Neither holds one
    that was asked, labelled or deleted. Of ``size`` the hold-out takes its share, at least ``MIN_HOLDOUT``, drawn
    uniformly; what either lacks near the end of the pool is not made up for by the other, so that the shares hold.
    """
    random = np.random.default_rng(seed)
    share = min(max(MIN_HOLDOUT, round(holdout_share * size)), len(reserve))
    drawn = random.choice(np.asarray(reserve, dtype=np.int64), share, replace=False).tolist() if share else []
    queried = wanted[: size - max(MIN_HOLDOUT, round(holdout_share * size))]
    picked = [Picked(row, Purpose.QUERY) for row in queried] + [Picked(row, Purpose.HOLDOUT) for row in drawn]
    return [picked[i] for i in random.permutation(len(picked))]
