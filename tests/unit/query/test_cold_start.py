"""First batches without a model."""

from __future__ import annotations

import numpy as np
import pytest

from tornio.query import cold_start

pytestmark = pytest.mark.unit


def test_random_is_a_sample_without_repetition() -> None:
    rows = cold_start("random", 50, 20, seed=3)
    assert len(set(rows)) == 20
    assert rows == cold_start("random", 50, 20, seed=3)
    assert rows != cold_start("random", 50, 20, seed=4)


@pytest.mark.parametrize("kind", ["random", "diverse"])
def test_a_pool_smaller_than_the_batch_is_taken_whole(kind: str) -> None:
    vectors = np.eye(5, dtype=np.float32)
    assert sorted(cold_start(kind, 5, 20, 0, vectors)) == [0, 1, 2, 3, 4]  # type: ignore[arg-type]
    assert cold_start(kind, 0, 20, 0, vectors[:0]) == []  # type: ignore[arg-type]


def test_diverse_meets_rare_groups_that_random_misses() -> None:
    """Ten groups, one a hundred times the size of each of the others: ten texts from ten groups."""
    random = np.random.default_rng(0)
    group = np.array([0] * 1000 + [j for j in range(1, 10) for _ in range(10)])
    vectors = (np.eye(16)[group] + 0.02 * random.normal(size=(len(group), 16))).astype(np.float32)

    def met(kind: str) -> float:
        return float(np.mean([len(set(group[cold_start(kind, len(group), 10, s, vectors)])) for s in range(10)]))  # type: ignore[arg-type]

    assert met("diverse") > 8
    assert met("random") < 3


def test_copies_of_one_text_do_not_stop_it() -> None:
    vectors = np.ones((6, 4), dtype=np.float32)
    assert sorted(cold_start("diverse", 6, 6, 0, vectors)) == [0, 1, 2, 3, 4, 5]


def test_diverse_needs_embeddings() -> None:
    with pytest.raises(ValueError, match="embedding"):
        cold_start("diverse", 5, 2, 0)
