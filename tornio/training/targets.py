"""Labels as arrays, and whether there are enough of them to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tornio.arrays import FloatMatrix, FloatVector, IntArray
from tornio.errors import InvalidInput
from tornio.models.decide import decide

UNSEEN_LOGIT = -20.0
"""Logit of a label without a training example. It is a probability of about 1e-9, so the label has its column and is
not predicted."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Texts with their targets.

    ``targets``: float32 [n, labels] in [0, 1]. Hard targets are 0 and 1; soft targets are probabilities, and without
    ``multi_label`` each row sums to one. ``weights``: float32 [n], how much each text counts; 1 is the normal weight.
    """

    record_ids: tuple[str, ...]
    texts: tuple[str, ...]
    targets: FloatMatrix
    weights: FloatVector

    def __len__(self) -> int:
        return len(self.texts)

    def select(self, rows: IntArray) -> Labelled:
        """Return these rows."""
        ids, texts = tuple(self.record_ids[row] for row in rows), tuple(self.texts[row] for row in rows)
        return Labelled(ids, texts, self.targets[rows], self.weights[rows])

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        labels: Sequence[tuple[str, ...]],
        names: Sequence[str],
        multi_label: bool,
        record_ids: Sequence[str] | None = None,
    ) -> Labelled:
        """Return texts with hard targets and the normal weight.

        ``record_ids``: default the row numbers. Raises InvalidInput as ``indicators`` does.
        """
        targets = indicators(labels, names, multi_label).astype(np.float32)
        if len(texts) != len(targets):
            raise ValueError(f"{len(texts)} texts for {len(targets)} rows of labels")
        ids = tuple(map(str, range(len(texts)))) if record_ids is None else tuple(record_ids)
        return cls(ids, tuple(texts), targets, np.ones(len(texts), dtype=np.float32))


def indicators(labels: Sequence[tuple[str, ...]], names: Sequence[str], multi_label: bool) -> IntArray:
    """Return labels as int64 [n, labels] of 0 and 1.

    Raises InvalidInput for a label that is not among ``names`` and, without ``multi_label``, for a row that does not
    have exactly one.
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


def decided(targets: FloatMatrix, multi_label: bool) -> IntArray:
    """Return targets as int64 [n, labels] of 0 and 1, by the rule of ``decide``. Hard targets stay as they are."""
    return decide(targets, multi_label).astype(np.int64)


def check_sufficient(Y: IntArray, names: Sequence[str], multi_label: bool) -> None:
    """Raise InvalidInput for no examples and, without ``multi_label``, for examples of one class only."""
    if not len(Y):
        raise InvalidInput("there is no training label yet: label some records first")
    seen = [name for name, column in zip(names, Y.T, strict=True) if column.any()]
    if not multi_label and len(seen) < 2:
        raise InvalidInput(f"all {len(Y)} training labels are {seen[0]!r}: label records of at least one other class")


def stratified_folds(Y: IntArray, folds: int, seed: int) -> IntArray:
    """Return a fold for each example, int64 [n]. Examples are sorted by their labels and dealt out like cards."""
    shuffled = np.random.default_rng(seed).permutation(len(Y))
    order = np.lexsort((shuffled, *Y.T))
    dealt = np.empty(len(Y), dtype=np.int64)
    dealt[order] = np.arange(len(Y)) % folds
    return dealt
