"""Labels as arrays, and whether there are enough of them to learn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tornio.arrays import IntArray
from tornio.errors import InvalidInput

UNSEEN_LOGIT = -20.0
"""Logit of a label without a training example: a probability of about 1e-9, so it has a column and is not predicted."""


def indicators(labels: Sequence[tuple[str, ...]], names: Sequence[str], multi_label: bool) -> IntArray:
    """int64 [n, labels] of 0 and 1.

    Raises InvalidInput for a label that is not among ``names`` and, without ``multi_label``, for a row that has not
    exactly one.
    """
    column = {name: j for j, name in enumerate(names)}
    Y = np.zeros((len(labels), len(names)), dtype=np.int64)
    for i, row in enumerate(labels):
        unknown = [name for name in row if name not in column]
        if unknown:
            raise InvalidInput(f"label {unknown[0]!r} is not one of the task's: {', '.join(names)}")
        if not multi_label and len(row) != 1:
            raise InvalidInput(f"example {i} has the labels {list(row)}: this task takes exactly one each")
        Y[i, [column[name] for name in row]] = 1
    return Y


def check_sufficient(Y: IntArray, names: Sequence[str], multi_label: bool) -> None:
    """Raises InvalidInput for no examples and, without ``multi_label``, examples of one class only."""
    if not len(Y):
        raise InvalidInput("there is no training label yet: label some records first")
    seen = [name for name, column in zip(names, Y.T, strict=True) if column.any()]
    if not multi_label and len(seen) < 2:
        raise InvalidInput(f"all {len(Y)} training labels are {seen[0]!r}: label records of at least one other class")


def stratified_folds(Y: IntArray, folds: int, seed: int) -> IntArray:
    """A fold for each example, dealt out like cards after sorting by labels: int64 [n]."""
    shuffled = np.random.default_rng(seed).permutation(len(Y))
    order = np.lexsort((shuffled, *Y.T))
    dealt = np.empty(len(Y), dtype=np.int64)
    dealt[order] = np.arange(len(Y)) % folds
    return dealt
