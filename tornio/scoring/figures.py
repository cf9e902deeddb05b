"""Figures over all rows: histogram of losses, figures per label, confusion. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tornio.arrays import BoolMatrix, BoolVector, FloatVector

BINS = 40
RANGE = 0.9995
"""Share of the rows whose losses span the bins. The last bin also counts the rows with larger losses."""


@dataclass(frozen=True, slots=True)
class Bin:
    """The rows with ``low`` <= loss < ``high``. ``disagree``: how many of them were predicted otherwise."""

    low: float
    high: float
    rows: int
    disagree: int


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """Figures of the rows with a given label.

    ``disagree``: rows for which the label was not predicted. ``only_predicted``: rows with another given label, for
    which this label was predicted. Losses are 0 if no row has the label.
    """

    label: str
    rows: int
    disagree: int
    only_predicted: int
    mean_loss: float
    high_loss: float
    """The 0.9 quantile of the losses."""

    @property
    def share(self) -> float:
        return self.disagree / self.rows if self.rows else 0.0


@dataclass(frozen=True, slots=True)
class Pair:
    """A given label and the label that was predicted instead."""

    given: str
    predicted: str
    rows: int


def disagreement(given: BoolMatrix, predicted: BoolMatrix) -> NDArray[np.bool_]:
    """Return bool [n]: whether other labels were predicted than given."""
    return np.asarray((given != predicted).any(axis=1))


def only_in(names: tuple[str, ...], given: BoolMatrix, rows: BoolVector) -> dict[str, int]:
    """Return the labels that only these rows, bool [n], have, and how many of them have each."""
    counts = given[rows].sum(axis=0).tolist()
    elsewhere = given[~rows].sum(axis=0).tolist()
    return {name: here for name, here, other in zip(names, counts, elsewhere, strict=True) if here and not other}


def loss_histogram(losses: FloatVector, disagree: NDArray[np.bool_]) -> list[Bin]:
    """Return ``BINS`` bins of equal width, from 0. Without rows it returns no bin."""
    if not len(losses):
        return []
    edges = np.linspace(0.0, float(np.quantile(losses, RANGE)) or 1.0, BINS + 1)
    place = np.clip(np.digitize(losses, edges) - 1, 0, BINS - 1)
    every, wrong = np.bincount(place, minlength=BINS), np.bincount(place[disagree], minlength=BINS)
    return [Bin(float(edges[i]), float(edges[i + 1]), int(every[i]), int(wrong[i])) for i in range(BINS)]


def by_label(
    names: tuple[str, ...], losses: FloatVector, given: BoolMatrix, predicted: BoolMatrix
) -> list[LabelFigures]:
    """Return the figures of each label, in the order of the names."""
    figures = []
    for name, is_given, is_predicted in zip(names, given.T, predicted.T, strict=True):
        own = losses[is_given].astype(np.float64)
        figures.append(
            LabelFigures(
                label=name,
                rows=len(own),
                disagree=int((is_given & ~is_predicted).sum()),
                only_predicted=int((~is_given & is_predicted).sum()),
                mean_loss=float(own.mean()) if len(own) else 0.0,
                high_loss=float(np.quantile(own, 0.9)) if len(own) else 0.0,
            )
        )
    return figures


def confusion(given: BoolMatrix, predicted: BoolMatrix) -> NDArray[np.int64]:
    """Return the numbers of rows, int64 [labels, labels], given by predicted, of rows with one label each."""
    return np.asarray(given.T.astype(np.int64) @ predicted.astype(np.int64))


def frequent_pairs(names: tuple[str, ...], counts: NDArray[np.int64], most: int) -> list[Pair]:
    """Return the ``most`` most frequent disagreements of a confusion. The first of equals comes first."""
    off = counts * ~np.eye(len(counts), dtype=bool)
    order = np.argsort(-off, axis=None, kind="stable")[:most]
    places = [divmod(int(at), len(counts)) for at in order]
    return [Pair(names[i], names[j], int(off[i, j])) for i, j in places if off[i, j]]
