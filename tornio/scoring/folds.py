"""Which fold a text belongs to: stratified, seeded, and the same for all copies of a text."""

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
"""Texts of a label that a sample has, where there are as many."""


def text_keys(texts: Sequence[str]) -> Keys:
    """uint64 [n]: a digest of the normalised text, equal for texts that count as the same (``records.normalise``).

    BLAKE2b cut to eight bytes, to be kept by the million: among as many texts the odds that two different ones share
    a key are 1 to 40 million, and would only put them into one fold.
    """
    digests = b"".join(hashlib.blake2b(normalise(text).encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


@dataclass(frozen=True)
class Folds:
    """The fold of every text: any part of the data finds its rows by ``of``. Nine bytes a distinct text."""

    keys: Keys
    """uint64 [distinct texts], ascending."""
    fold: FoldVector
    """int8 [distinct texts] in [0, count)."""
    count: int

    def of(self, keys: Keys) -> FoldVector:
        """int8 [n]. Raises InvalidInput for a text that the folds were not made from."""
        place = np.searchsorted(self.keys, keys)
        found = place < len(self.keys)
        found[found] = self.keys[place[found]] == keys[found]
        if not found.all():
            raise InvalidInput(
                f"{(~found).sum()} of {len(keys)} texts belong to no fold: the input is not what the folds were made "
                "from; start a new run"
            )
        return np.asarray(self.fold[place], dtype=np.int8)


def deal(keys: Keys, given: BoolMatrix, count: int, seed: int) -> Folds:
    """Deal distinct texts out to ``count`` folds like cards, sorted by their labels and then in a seeded order.

    ``given``: bool [n, labels]. The same texts and labels make the same folds in whatever order they come. Texts of
    the same labels spread over the folds as evenly as they can, one more or less; a text whose copies disagree
    counts with the union of their labels. Raises InvalidInput for fewer than two folds, or fewer texts than folds.
    """
    distinct, which = np.unique(keys, return_inverse=True)
    if not 2 <= count <= MOST_FOLDS:
        raise InvalidInput(f"cross-validation takes 2 to {MOST_FOLDS} folds, not {count}")
    if len(distinct) < count:
        raise InvalidInput(f"{len(distinct)} different texts cannot be dealt to {count} folds: take fewer folds")
    labels = np.zeros((len(distinct), given.shape[1]), dtype=bool)
    np.logical_or.at(labels, which, given)
    order = np.lexsort((shuffled(distinct, seed), *labels.T))
    fold = np.empty(len(distinct), dtype=np.int8)
    fold[order] = np.arange(len(distinct)) % count
    return Folds(distinct, fold, count)


def sample(keys: Keys, given: BoolMatrix, most: int, seed: int) -> NDArray[np.int64]:
    """Rows of at most ``most`` distinct texts, int64 ascending: the same texts in whatever order they come.

    First up to ``FLOOR`` texts of each label (``given``: bool [n, labels]), or as many as half of ``most`` has room
    for: of a label that no row of the sample had nothing would be known, and all its rows would look wrong. The rest
    at random. All copies of a text come along, so slightly more rows than ``most`` are possible.
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
    """uint64 [n] that sort keys in a random order which the seed decides: SplitMix64's finalizer of key + seed.

    Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators", figure 14.
    """
    with np.errstate(over="ignore"):
        z = keys + np.uint64(seed % 2**64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(z ^ (z >> np.uint64(31)))
