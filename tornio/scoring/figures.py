"""What the scores of all rows say together: histogram of losses, figures of each label, confusion. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tornio.arrays import BoolMatrix, FloatVector

BINS = 40
RANGE = 0.9995
"""Share of the rows that the histogram spreads over its bins; the last bin also has those beyond."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows with a loss from ``low`` on and below ``high``; ``disagree``: of these, other labels were predicted."""

    low: float
    high: float
    rows: int
    disagree: int


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """Of the rows that were given a label. ``disagree``: without that label among the predicted; ``only_predicted``:
    rows that were not given it, but have it predicted. Losses are 0 where there are no rows."""

    label: str
    rows: int
    disagree: int
    only_predicted: int
    mean_loss: float
    high_loss: float
    """Nine of ten rows have a smaller loss."""

    @property
    def share(self) -> float:
        return self.disagree / self.rows if self.rows else 0.0


@dataclass(frozen=True, slots=True)
class Pair:
    """A label and what was predicted in its place."""

    given: str
    predicted: str
    rows: int


def disagreement(given: BoolMatrix, predicted: BoolMatrix) -> NDArray[np.bool_]:
    """bool [n]: other labels were predicted than were given."""
    return np.asarray((given != predicted).any(axis=1))


def loss_histogram(losses: FloatVector, disagree: NDArray[np.bool_]) -> list[Bin]:
    """``BINS`` bins of one width from 0; none without rows."""
    if not len(losses):
        return []
    edges = np.linspace(0.0, float(np.quantile(losses, RANGE)) or 1.0, BINS + 1)
    place = np.clip(np.digitize(losses, edges) - 1, 0, BINS - 1)
    every, wrong = np.bincount(place, minlength=BINS), np.bincount(place[disagree], minlength=BINS)
    return [Bin(float(edges[i]), float(edges[i + 1]), int(every[i]), int(wrong[i])) for i in range(BINS)]


def by_label(
    names: tuple[str, ...], losses: FloatVector, given: BoolMatrix, predicted: BoolMatrix
) -> list[LabelFigures]:
    """One for each label, in the order of the names."""
    found = []
    for name, is_given, is_predicted in zip(names, given.T, predicted.T, strict=True):
        own = losses[is_given].astype(np.float64)
        found.append(
            LabelFigures(
                label=name,
                rows=len(own),
                disagree=int((is_given & ~is_predicted).sum()),
                only_predicted=int((~is_given & is_predicted).sum()),
                mean_loss=float(own.mean()) if len(own) else 0.0,
                high_loss=float(np.quantile(own, 0.9)) if len(own) else 0.0,
            )
        )
    return found


def confusion(given: BoolMatrix, predicted: BoolMatrix) -> NDArray[np.int64]:
    """int64 [labels, labels] of rows, given by predicted; one label each."""
    return np.asarray(given.T.astype(np.int64) @ predicted.astype(np.int64))


def frequent_pairs(names: tuple[str, ...], counts: NDArray[np.int64], most: int) -> list[Pair]:
    """The most frequent disagreements of a confusion, at most so many; of equals the first."""
    off = counts * ~np.eye(len(counts), dtype=bool)
    order = np.argsort(-off, axis=None, kind="stable")[:most]
    places = [divmod(int(at), len(counts)) for at in order]
    return [Pair(names[i], names[j], int(off[i, j])) for i, j in places if off[i, j]]
