"""Pools of made-up embeddings and probabilities, for tests of query strategies."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tornio.arrays import FloatMatrix, IntArray
from tornio.query import COLD_STARTS, STRATEGIES, ArraySource, Candidates, Labelled, Selection

WIDTH = 6
OF_SEVERAL_LABELS = ("label-cardinality-inconsistency", "adaptive", "category-vector-inconsistency")
OF_ONE_LABEL = ("class-balancer",)
INNER = ("subsample", "seals", "anchor-subsampling", "class-balancer")


def probabilities(rows: int, labels: int, seed: int, multi_label: bool = False) -> FloatMatrix:
    random = np.random.default_rng(seed)
    drawn = random.random((rows, labels)) if multi_label else random.dirichlet(np.full(labels, 0.5), rows)
    return drawn.astype(np.float32)


def embeddings(rows: int, seed: int, width: int = WIDTH) -> FloatMatrix:
    return np.random.default_rng([seed, 1]).normal(size=(rows, width)).astype(np.float32)


def labelled(rows: int, labels: int, seed: int, multi_label: bool = False, width: int = WIDTH) -> Labelled:
    random = np.random.default_rng([seed, 2])
    if multi_label:
        given = random.integers(0, 2, (rows, labels))
    else:
        given = np.eye(labels, dtype=np.int64)[random.integers(0, labels, rows)]
    vectors = random.normal(size=(rows, width)).astype(np.float32)
    return Labelled(vectors, given.astype(np.int64), probabilities(rows, labels, seed + 1, multi_label))


def source(
    p: FloatMatrix, vectors: FloatMatrix, known: Labelled, votes: NDArray[np.float32] | None = None
) -> ArraySource:
    """``votes``: what committees and stochastic passes say; without it, they say the probabilities with some noise."""
    if votes is None:
        scattered = p + np.random.default_rng(5).random((10, *p.shape), dtype=np.float32)
        votes = (scattered / scattered.sum(axis=2, keepdims=True)).astype(np.float32)
    return ArraySource(p, vectors, labelled_rows=known, sample_rows=votes, committee_rows=votes)


def select(
    name: str, pool: ArraySource, n: int, seed: int = 0, multi_label: bool = False, cold: bool = False, **values: Any
) -> Selection:
    """What a strategy of the table picks from a pool."""
    strategy = (COLD_STARTS if cold else STRATEGIES).get(name)
    arrays = pool.embedding_rows if pool.probability_rows is None else pool.probability_rows
    assert arrays is not None
    labels = pool.labelled().labels.shape[1]
    rows: IntArray = np.arange(len(arrays), dtype=np.int64)
    names = tuple(f"l{column}" for column in range(labels))
    settings = strategy.settings.model_validate(values)
    return strategy.select(Candidates(pool, rows, names, multi_label, settings), n, seed)
