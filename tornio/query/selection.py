"""What a batch is made of: the strategy's records and the hold-out's part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tornio.records import Purpose

MIN_HOLDOUT = 2
"""Hold-out records that every batch carries, however small it is."""


@dataclass(frozen=True, slots=True)
class Picked:
    """A row of the pool, and its purpose in the batch."""

    row: int
    purpose: Purpose


def queried(size: int, holdout_share: float) -> int:
    """How many records of a batch of ``size`` the query strategy picks; the rest is the hold-out's part."""
    return size - max(MIN_HOLDOUT, round(holdout_share * size))


def pick_batch(
    wanted: Sequence[int], reserve: Sequence[int], size: int, holdout_share: float, seed: int
) -> list[Picked]:
    """The rows of a batch in a random order, so that annotators cannot recognise the hold-out by its place.

    ``wanted``: rows that may be queried, in the strategy's order; ``reserve``: rows that are held out. Neither contains
    a row that is asked, labelled or deleted already. Of ``size`` the hold-out gets its share, at least ``MIN_HOLDOUT``,
    drawn uniformly. Near the end of the pool, neither part makes up for what the other lacks, so that the shares hold.
    """
    random = np.random.default_rng(seed)
    count = queried(size, holdout_share)
    share = min(size - count, len(reserve))
    drawn = random.choice(np.asarray(reserve, dtype=np.int64), share, replace=False).tolist() if share else []
    picked = [Picked(row, Purpose.QUERY) for row in wanted[:count]] + [Picked(row, Purpose.HOLDOUT) for row in drawn]
    return [picked[i] for i in random.permutation(len(picked))]
