"""What a batch is made of: the strategy's records and the hold-out's part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tornio.errors import InvalidInput
from tornio.query.port import Selection
from tornio.records import Purpose

TRICKLE = 0.1
"""What is left of the hold-out's share once the hold-out is large enough: texts change, and the hold-out must too."""


@dataclass(frozen=True, slots=True)
class Picked:
    """A row of the pool, and its purpose in the batch."""

    row: int
    purpose: Purpose


def holdout_part(asked: int, size: int, share: float, seed: int) -> int:
    """Return how many records of the next batch of ``size`` are of the hold-out.

    ``asked``: the records of all earlier batches. The share is kept over the batches: n records in a row contain
    ``share * n`` of the hold-out, give or take one, whatever the sizes of the batches. So small batches have none at
    times, and a small share is not rounded to nothing. ``seed``: of the task; it decides which of the first batches
    has one.
    """
    start = seed / 2**32 % 1
    return math.floor(share * (asked + size) + start) - math.floor(share * asked + start)


def present_share(share: float, labelled: int, enough: int, imported: int, judging: int) -> float:
    """Return the share of the hold-out in the next batches: all of ``share``, or ``TRICKLE`` of it.

    ``labelled``: hold-out records with a label, of which ``enough`` make the accuracy's interval narrow. ``imported``:
    those with an imported label. A test set that was imported is enough if the gate can use it, which needs ``judging``
    labels.
    """
    imported_enough = imported > 0 and imported >= judging
    return share * TRICKLE if labelled >= enough or imported_enough else share


def pick_batch(
    wanted: Sequence[int], reserve: Sequence[int], size: int, part: int, seed: int, lapsed: Sequence[int] = ()
) -> list[Picked]:
    """The rows of a batch in a random order, so that annotators cannot recognise the hold-out by its place.

    ``wanted``: rows that may be queried, in the strategy's order; ``reserve``: rows that are held out. Neither contains
    a row that is asked, labelled or deleted already. ``part`` of the ``size`` records are of the hold-out, drawn
    uniformly: first of ``lapsed``, those of the reserve whose label was removed, and then of the others.
    Near the end of the pool, neither part makes up for what the other lacks, so that the shares hold.
    """
    random = np.random.default_rng(seed)
    drawn, first = list[int](), set(lapsed)
    for rows in (lapsed, [row for row in reserve if row not in first]):
        held = min(part - len(drawn), len(rows))
        drawn += random.choice(np.asarray(rows, dtype=np.int64), held, replace=False).tolist() if held else []
    picked = [Picked(row, Purpose.QUERY) for row in wanted[: size - part]]
    picked += [Picked(row, Purpose.HOLDOUT) for row in drawn]
    return [picked[i] for i in random.permutation(len(picked))]


def with_lapsed(order: Sequence[int], lapsed: Sequence[int], wanted: int, seed: int) -> list[int]:
    """Return the strategy's order with rows in front whose label was removed: at most half of the ``wanted`` ones.

    People have read these texts before, and nothing else has the labels that took a removed one's place. They are
    drawn uniformly, and the other half keeps fresh texts coming.
    """
    count = min(len(lapsed), -(-wanted // 2))
    drawn = np.random.default_rng(seed).choice(np.asarray(lapsed, dtype=np.int64), count, replace=False).tolist()
    first = set(drawn)
    return [*drawn, *(row for row in order if row not in first)]


def checked_rows(name: str, selection: Selection, candidates: int, wanted: int) -> list[int]:
    """Return the positions that a strategy picked, after a check, because the strategy of a package may be wrong.

    Raises InvalidInput.
    """
    rows = np.asarray(selection.rows)
    if rows.ndim != 1 or (len(rows) and not np.issubdtype(rows.dtype, np.integer)):
        raise InvalidInput(f"the query strategy {name!r} must return its rows as whole numbers [k], not {rows.dtype}")
    if len(np.unique(rows)) != len(rows) or (len(rows) and not 0 <= rows.min() <= rows.max() < candidates):
        raise InvalidInput(f"the query strategy {name!r} picked a row twice, or a row that is not a candidate")
    if len(rows) > wanted or (candidates and wanted and not len(rows)):
        raise InvalidInput(
            f"the query strategy {name!r} picked {len(rows)} of {candidates} candidates; 1 to {wanted} are allowed"
        )
    if selection.shown is not None:
        shown = np.asarray(selection.shown, dtype=np.float64)
        if shown.shape != rows.shape or not ((shown >= 0) & (shown <= 1)).all():
            raise InvalidInput(f"the query strategy {name!r} must show an uncertainty in [0, 1] for each row it picks")
    return [int(row) for row in rows]
