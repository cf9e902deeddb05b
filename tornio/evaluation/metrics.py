"""Metrics as scikit-learn defines them. Labels are lists; a single label is a list of length one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tornio.arrays import BoolMatrix, BoolVector, FloatMatrix

Labels = Sequence[tuple[str, ...]]
BINS = 10


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """The metrics of one label; 0.0 if the denominator is 0. ``support``: number of rows that have the label."""

    precision: float
    recall: float
    f1: float
    support: int


def indicators(labels: Labels, names: Sequence[str]) -> BoolMatrix:
    """Return bool [n, labels]. Raises ValueError for a label that is not in ``names``."""
    matrix = np.zeros((len(labels), len(names)), dtype=bool)
    column = {name: j for j, name in enumerate(names)}
    for i, row in enumerate(labels):
        for name in row:
            if name not in column:
                raise ValueError(f"label {name!r} is not one of {list(names)}")
            matrix[i, column[name]] = True
    return matrix


def exact(truth: BoolMatrix, answers: BoolMatrix) -> BoolVector:
    """Return bool [n]: the rows in which every label is correct and none is missing."""
    return np.asarray((truth == answers).all(axis=1), dtype=bool)


def per_class(truth: BoolMatrix, answers: BoolMatrix) -> list[ClassFigures]:
    """Return precision, recall, F1 and support of each label."""
    hits, predicted, true = (truth & answers).sum(axis=0), answers.sum(axis=0), truth.sum(axis=0)
    return [
        ClassFigures(_ratio(h, p), _ratio(h, t), _ratio(2 * h, p + t), int(t))
        for h, p, t in zip(hits, predicted, true, strict=True)
    ]


def macro_f1(truth: BoolMatrix, answers: BoolMatrix) -> float:
    """Return the mean F1 over the labels that occur in truth or answers. Absent labels are left out."""
    occurs = np.flatnonzero((truth | answers).any(axis=0))
    every = per_class(truth, answers)
    figures = [every[j].f1 for j in occurs]
    return float(np.mean(figures)) if figures else 0.0


def micro_f1(truth: BoolMatrix, answers: BoolMatrix) -> float:
    """Return F1 over all decisions; for single-label tasks it equals the accuracy."""
    return _ratio(2 * (truth & answers).sum(), truth.sum() + answers.sum())


def confusion(truth: BoolMatrix, answers: BoolMatrix) -> list[list[int]]:
    """Return [labels, labels]: rows are true labels, columns are predicted ones. Single-label only."""
    table = np.zeros((truth.shape[1], truth.shape[1]), dtype=np.int64)
    np.add.at(table, (truth.argmax(axis=1), answers.argmax(axis=1)), 1)
    return [[int(count) for count in row] for row in table]


def calibration_error(probabilities: FloatMatrix, truth: BoolMatrix, multi_label: bool) -> float:
    """Return the expected calibration error over ``BINS`` bins of equal width.

    Single-label: the largest probability is compared with being correct. Multi-label: each probability is compared with
    its label being true. Source: Guo et al. (2017), "On Calibration of Modern Neural Networks", ICML, equation 3.
    """
    if multi_label:
        stated, right = probabilities.ravel(), truth.ravel()
    else:
        stated = probabilities.max(axis=1)
        right = truth[np.arange(len(truth)), probabilities.argmax(axis=1)]
    # The intervals are open on the left, as in the paper.
    bins = np.clip(np.ceil(stated * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, weights=np.asarray(right, dtype=np.float64) - stated, minlength=BINS)
    return float(np.abs(gaps).sum() / len(stated)) if len(stated) else 0.0


def _ratio(part: int, whole: int) -> float:
    return float(part / whole) if whole else 0.0
