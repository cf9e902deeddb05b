"""First batches without a model."""

from __future__ import annotations

import numpy as np
import pytest

from tornio.arrays import FloatMatrix
from tornio.errors import InvalidInput
from tornio.query import COLD_STARTS, ArraySource, Candidates

pytestmark = pytest.mark.unit


def cold_start(kind: str, rows: int, size: int, seed: int, vectors: FloatMatrix | None = None) -> list[int]:
    """What a cold start picks of so many rows with these embeddings."""
    source, strategy = ArraySource(embedding_rows=vectors), COLD_STARTS.get(kind)
    candidates = Candidates(source, np.arange(rows, dtype=np.int64), ("a", "b"), False, strategy.settings())
    picked = strategy.select(candidates, size, seed)
    assert picked.shown is None
    return [int(row) for row in picked.rows]


def test_random_is_a_sample_without_repetition() -> None:
    rows = cold_start("random", 50, 20, seed=3)
    assert len(set(rows)) == 20
    assert rows == cold_start("random", 50, 20, seed=3)
    assert rows != cold_start("random", 50, 20, seed=4)


@pytest.mark.parametrize("kind", ["random", "diverse"])
def test_a_pool_smaller_than_the_batch_is_taken_whole(kind: str) -> None:
    vectors = np.eye(5, dtype=np.float32)
    assert sorted(cold_start(kind, 5, 20, 0, vectors)) == [0, 1, 2, 3, 4]
    assert cold_start(kind, 0, 20, 0, vectors[:0]) == []


def test_diverse_meets_rare_groups_that_random_misses() -> None:
    """Ten groups, one a hundred times the size of each of the others: ten texts from ten groups."""
    random = np.random.default_rng(0)
    group = np.array([0] * 1000 + [j for j in range(1, 10) for _ in range(10)])
    vectors = (np.eye(16)[group] + 0.02 * random.normal(size=(len(group), 16))).astype(np.float32)

    def met(kind: str) -> float:
        return float(np.mean([len(set(group[cold_start(kind, len(group), 10, s, vectors)])) for s in range(10)]))

    assert met("diverse") > 8
    assert met("random") < 3


def test_copies_of_one_text_do_not_stop_it() -> None:
    vectors = np.ones((6, 4), dtype=np.float32)
    assert sorted(cold_start("diverse", 6, 6, 0, vectors)) == [0, 1, 2, 3, 4, 5]


def test_diverse_needs_embeddings() -> None:
    with pytest.raises(InvalidInput, match="embedding"):
        cold_start("diverse", 5, 2, 0)
