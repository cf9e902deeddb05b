"""The usual figures, as scikit-learn defines them. Labels are lists; single-label is the case of length one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tornio.arrays import BoolMatrix, FloatMatrix

Labels = Sequence[tuple[str, ...]]
BINS = 10


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """Of one label: 0.0 where the denominator is 0. ``support``: how often it is true."""

    precision: float
    recall: float
    f1: float
    support: int


def indicators(labels: Labels, names: Sequence[str]) -> BoolMatrix:
    """bool [n, labels]. Raises ValueError for a label that is not among the names."""
    matrix = np.zeros((len(labels), len(names)), dtype=bool)
    place = {name: j for j, name in enumerate(names)}
    for i, row in enumerate(labels):
        for name in row:
            if name not in place:
                raise ValueError(f"label {name!r} is not one of {list(names)}")
            matrix[i, place[name]] = True
    return matrix


def accuracy(truth: BoolMatrix, answers: BoolMatrix) -> float:
    """Share of rows that are right in every label (with several labels: subset accuracy)."""
    return float((truth == answers).all(axis=1).mean())


def per_class(truth: BoolMatrix, answers: BoolMatrix) -> list[ClassFigures]:
    """Precision, recall, F1 and support of each label."""
    hits, said, true = (truth & answers).sum(axis=0), answers.sum(axis=0), truth.sum(axis=0)
    return [
        ClassFigures(_ratio(h, s), _ratio(h, t), _ratio(2 * h, s + t), int(t))
        for h, s, t in zip(hits, said, true, strict=True)
    ]


def macro_f1(truth: BoolMatrix, answers: BoolMatrix) -> float:
    """Mean F1 over the labels that occur in truth or answers: an absent one is neither right nor wrong."""
    occurs = np.flatnonzero((truth | answers).any(axis=0))
    every = per_class(truth, answers)
    figures = [every[j].f1 for j in occurs]
    return float(np.mean(figures)) if figures else 0.0


def micro_f1(truth: BoolMatrix, answers: BoolMatrix) -> float:
    """F1 over all decisions; with one label each it is the accuracy."""
    return _ratio(2 * (truth & answers).sum(), truth.sum() + answers.sum())


def confusion(truth: BoolMatrix, answers: BoolMatrix) -> list[list[int]]:
    """[labels, labels], rows what is true, columns what was answered; one label each."""
    table = np.zeros((truth.shape[1], truth.shape[1]), dtype=np.int64)
    np.add.at(table, (truth.argmax(axis=1), answers.argmax(axis=1)), 1)
    return [[int(count) for count in row] for row in table]


def calibration_error(probabilities: FloatMatrix, truth: BoolMatrix, multi_label: bool) -> float:
    """Expected calibration error over ``BINS`` bins of equal width.

    One label each: of the largest probability against being right. Several: of every probability against the label
    being true. Source: Guo et al. (2017), "On Calibration of Modern Neural Networks", ICML, equation 3.
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
