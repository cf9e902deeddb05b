"""A small labelled set whose rows can be told apart by their vectors, and partly by a word; some labels are wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tornio.arrays import BoolMatrix, FloatMatrix
from tornio.scoring.folds import Folds, Keys, deal, text_keys

NAMES = ("ant", "bee", "cat")
FOLDS = 4


@dataclass(frozen=True)
class Made:
    vectors: FloatMatrix
    texts: list[str]
    given: BoolMatrix
    wrong: NDArray[np.bool_]

    @property
    def keys(self) -> Keys:
        return text_keys(self.texts)

    @property
    def folds(self) -> Folds:
        return deal(self.keys, self.given, FOLDS, seed=1)

    def take(self, rows: NDArray[np.int64]) -> Made:
        return Made(self.vectors[rows], [self.texts[i] for i in rows], self.given[rows], self.wrong[rows])


def labelled(rows: int = 240, noise: float = 0.35, flipped: float = 0.1, seed: int = 0) -> Made:
    """One label each; every sixth text is there twice."""
    random = np.random.default_rng(seed)
    true = np.arange(rows) % len(NAMES)
    centres = np.random.default_rng(99).normal(size=(len(NAMES), 12))
    vectors = (centres / np.linalg.norm(centres, axis=1, keepdims=True))[true] + noise * random.normal(size=(rows, 12))
    texts = [f"the {NAMES[t]} number {i}" if random.random() < 0.7 else f"some number {i}" for i, t in enumerate(true)]
    wrong = random.random(rows) < flipped
    label = np.where(wrong, (true + random.integers(1, len(NAMES), rows)) % len(NAMES), true)
    for i in range(3, rows, 6):  # a copy in other capitals
        vectors[i], texts[i], label[i], wrong[i] = vectors[i - 3], texts[i - 3].upper(), label[i - 3], wrong[i - 3]
    return Made(vectors.astype(np.float32), texts, np.eye(len(NAMES), dtype=bool)[label], wrong)


def several(rows: int = 240, flipped: float = 0.05, seed: int = 0) -> Made:
    """Any number of labels each, each of which can be wrong."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(rows, 12)).astype(np.float32)
    wrong = random.random((rows, len(NAMES))) < flipped
    given = (vectors[:, : len(NAMES)] > 0.3) ^ wrong
    return Made(vectors, [f"row {i}" for i in range(rows)], given, np.asarray(wrong.any(axis=1)))
