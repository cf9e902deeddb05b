"""Metrics as scikit-learn defines them. Labels are lists; a single label is a list of length one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tornio.arrays import BoolMatrix, BoolVector, FloatMatrix, FloatVector

Labels = Sequence[tuple[str, ...]]
BINS = 15


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
    """Return the expected calibration error over ``BINS`` bins of equal mass.

    Single-label: the largest probability is compared with being correct. Multi-label: each probability is compared with
    its label being true, label by label, and the errors of the labels are averaged. With few rows the error is too
    large, because the share of right answers in a bin is partly chance: with 100 rows a perfect model has
    about .12, with 1,000 rows .04.

    Sources: Guo et al. (2017), "On Calibration of Modern Neural Networks", ICML, equation 3; bins of equal mass: Nguyen
    and O'Connor (2015), "Posterior calibration and exploratory analysis for natural language processing models". Unlike
    there, rows of equal probability share one frequency, so that the result does not depend on the order of the rows.
    """
    if not len(truth):
        return 0.0
    if multi_label:
        return float(np.mean([_calibration(p, right) for p, right in zip(probabilities.T, truth.T, strict=True)]))
    return _calibration(probabilities.max(axis=1), truth[np.arange(len(truth)), probabilities.argmax(axis=1)])


def _calibration(stated: FloatVector, right: BoolVector) -> float:
    """Return the error of these probabilities, float [n], of being right, bool [n]."""
    values, group = np.unique(stated, return_inverse=True)
    frequency = np.bincount(group, weights=right) / np.bincount(group)
    order = np.argsort(group, kind="stable")
    gaps = (frequency - values)[group[order]]
    return float(sum(abs(part.sum()) for part in np.array_split(gaps, BINS)) / len(gaps))


def _ratio(part: int, whole: int) -> float:
    return float(part / whole) if whole else 0.0
