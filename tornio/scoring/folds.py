"""Assign texts to folds: stratified by label, seeded, and the same fold for all copies of a text."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tornio.arrays import BoolMatrix
from tornio.errors import InvalidInput
from tornio.records import normalise

Keys = NDArray[np.uint64]
FoldVector = NDArray[np.int8]
MOST_FOLDS = 100
FLOOR = 50
"""Texts of each label that a sample has at least, if the data has as many."""


def text_keys(texts: Sequence[str]) -> Keys:
    """Return uint64 [n]: digests of the normalised texts, equal for texts that count as the same
    (``records.normalise``).

    BLAKE2b cut to eight bytes, because millions of keys are kept. Among a million texts the odds that two different
    ones share a key are 1 to 40 million, and this would only put both into the same fold.
    """
    digests = b"".join(hashlib.blake2b(normalise(text).encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


@dataclass(frozen=True)
class Folds:
    """The fold of every text. ``of`` looks up the folds of any part of the data. Nine bytes per distinct text."""

    keys: Keys
    """uint64 [distinct texts], ascending."""
    fold: FoldVector
    """int8 [distinct texts] in [0, count)."""
    count: int

    def of(self, keys: Keys) -> FoldVector:
        """Return the folds of these keys, int8 [n]. Raises InvalidInput for a text that has no fold."""
        place = np.searchsorted(self.keys, keys)
        exists = place < len(self.keys)
        exists[exists] = self.keys[place[exists]] == keys[exists]
        if not exists.all():
            raise InvalidInput(
                f"{(~exists).sum()} of {len(keys)} texts belong to no fold. The input is not the one that the folds "
                "were made from: start a new run"
            )
        return np.asarray(self.fold[place], dtype=np.int8)


def deal(keys: Keys, given: BoolMatrix, count: int, seed: int) -> Folds:
    """Assign distinct texts to ``count`` folds in turn, sorted by their labels and then in a seeded order.

    ``given``: bool [n, labels]. The result does not depend on the order of the rows. The numbers of texts with the same
    labels differ by at most one between folds. A text whose copies disagree counts with the union of their labels.
    Raises InvalidInput for fewer than two folds, or fewer texts than folds.
    """
    distinct, which = np.unique(keys, return_inverse=True)
    if not 2 <= count <= MOST_FOLDS:
        raise InvalidInput(f"cross-validation needs 2 to {MOST_FOLDS} folds, not {count}")
    if len(distinct) < count:
        raise InvalidInput(f"{len(distinct)} different texts cannot be dealt to {count} folds. Use fewer folds")
    labels = np.zeros((len(distinct), given.shape[1]), dtype=bool)
    np.logical_or.at(labels, which, given)
    order = np.lexsort((shuffled(distinct, seed), *labels.T))
    fold = np.empty(len(distinct), dtype=np.int8)
    fold[order] = np.arange(len(distinct)) % count
    return Folds(distinct, fold, count)


def sample(keys: Keys, given: BoolMatrix, most: int, seed: int) -> NDArray[np.int64]:
    """Return the rows of at most ``most`` distinct texts, int64, ascending. The order of the rows does not matter.

    It takes up to ``FLOOR`` texts of each label (``given``: bool [n, labels]), but not more than half of ``most`` in
    all. A model that had seen no row of a label would find all rows of that label wrong. The remaining texts are
    random. All copies of a text are included, so there may be slightly more rows than ``most``.
    """
    distinct, which = np.unique(keys, return_inverse=True)
    if len(distinct) <= most:
        return np.arange(len(keys))
    order = shuffled(distinct, seed)
    floor = min(FLOOR, max(1, most // (2 * given.shape[1])))
    chosen = np.zeros(len(distinct), dtype=bool)
    for label in given.T:
        texts = np.unique(which[label])
        chosen[texts[np.argsort(order[texts])[:floor]]] = True
    rest = np.flatnonzero(~chosen)
    chosen[rest[np.argsort(order[rest])[: max(0, most - int(chosen.sum()))]]] = True
    return np.flatnonzero(chosen[which])


def shuffled(keys: Keys, seed: int) -> Keys:
    """Return uint64 [n], which sort the keys in a random order given by the seed: SplitMix64's finalizer of key + seed.

    Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators", figure 14.
    """
    with np.errstate(over="ignore"):
        z = keys + np.uint64(seed % 2**64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(z ^ (z >> np.uint64(31)))
