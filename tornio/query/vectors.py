"""Arithmetic on many vectors that strategies share. Memory is bounded: products of all pairs of rows are computed in
blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tornio.arrays import DoubleArray, FloatMatrix, FloatVector, IntArray
from tornio.query.candidates import Candidates
from tornio.spec import Spec, setting

ENTRIES = 2**24
"""Entries of the largest array of a block: 64 MiB in single precision."""


class Bounded(Spec):
    """The setting of every strategy whose cost or memory grows with the number of texts times something else."""

    candidates: int = setting(
        50_000,
        unit="records",
        change="live",
        ge=10,
        le=5_000_000,
        doc="From a pool with more texts than this, so many are drawn at random, and the strategy picks from them. It "
        "bounds time and memory.",
    )


def drawn(candidates: Candidates, n: int, seed: int) -> IntArray:
    """Return the positions that a strategy with ``Bounded`` settings picks ``n`` from, int64 ascending."""
    return candidates.subsample(max(candidates.settings.candidates, n), seed)


def blocks(rows: int, width: int = 256) -> Iterator[slice]:
    """Yield slices of so many rows, such that a block of ``width`` columns has at most about ``ENTRIES`` entries."""
    size = max(1, ENTRIES // max(1, width))
    for start in range(0, rows, size):
        yield slice(start, start + size)


def highest(scores: DoubleArray, n: int) -> IntArray:
    """Return the positions of the ``n`` largest scores, largest first and the first of equals first, int64."""
    if n >= len(scores):
        return np.argsort(-scores, kind="stable").astype(np.int64)
    least = np.partition(scores, len(scores) - n)[len(scores) - n] if n else np.inf
    among = np.flatnonzero(scores >= least)  # a million scores are not sorted for the sake of twenty
    return among[np.argsort(-scores[among], kind="stable")[:n]].astype(np.int64)


def plogp(p: DoubleArray) -> DoubleArray:
    """-p log p, which is 0 at 0."""
    return -p * np.log(np.where(p > 0, p, 1.0))


def unit(vectors: FloatMatrix) -> FloatMatrix:
    """Return the vectors with length one, float32. A zero vector stays."""
    lengths = np.sqrt(squared(vectors))[:, None]
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)


def squares(vectors: FloatMatrix, others: FloatMatrix, lengths: FloatVector | None = None) -> FloatMatrix:
    """Return the squared distances, float32 [m, o]; never negative. ``lengths``: ``squared`` of the others."""
    found = vectors @ others.T
    found *= -2.0
    found += squared(vectors)[:, None]
    found += squared(others) if lengths is None else lengths
    return np.asarray(np.maximum(found, 0.0, out=found))


def squared(vectors: FloatMatrix) -> FloatVector:
    """Return the squared length of each vector, float32 [m]."""
    return np.asarray(np.einsum("ij,ij->i", vectors, vectors), dtype=np.float32)


def nearest_square(vectors: FloatMatrix, others: FloatMatrix) -> FloatVector:
    """Return the squared distance of each vector to the nearest of the others, float32 [m]; infinite without others."""
    found = np.full(len(vectors), np.inf, dtype=np.float32)
    if len(others):
        lengths = squared(others)
        for block in blocks(len(vectors), len(others)):
            found[block] = squares(vectors[block], others, lengths).min(axis=1)
    return found


def neighbours(vectors: FloatMatrix, others: FloatMatrix, k: int) -> IntArray:
    """Return the positions of the ``k`` nearest others of each vector, int64 [m, min(k, o)], in no order."""
    k = min(k, len(others))
    found = np.zeros((len(vectors), k), dtype=np.int64)
    found[:] = np.arange(k)
    if 0 < k < len(others):
        lengths = squared(others)
        for block in blocks(len(vectors), len(others)):
            distances = squares(vectors[block], others, lengths)
            found[block] = np.argpartition(distances, k - 1, axis=1)[:, :k]
    return found
