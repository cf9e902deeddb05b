"""What holds of every strategy of the tables: of n asked it picks n, none twice, the same for the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.query.pools import (
    INNER,
    OF_ONE_LABEL,
    OF_SEVERAL_LABELS,
    WIDTH,
    embeddings,
    labelled,
    probabilities,
    select,
    source,
)
from tornio.query import COLD_STARTS, STRATEGIES, ArraySource, Candidates, Labelled

pytestmark = pytest.mark.unit

CASES = [
    (name, multi_label)
    for name in STRATEGIES.names
    for multi_label in (False, True)
    if name not in (OF_ONE_LABEL if multi_label else OF_SEVERAL_LABELS)
]


def check(name: str, pool: ArraySource, n: int, seed: int, multi_label: bool = False, cold: bool = False) -> None:
    """Fail unless the strategy picks as many as it can, none twice, and the same again."""
    picked = select(name, pool, n, seed, multi_label, cold)
    assert pool.embedding_rows is not None
    rows = len(pool.embedding_rows)
    assert picked.rows.dtype == np.int64
    assert len(picked.rows) == min(n, rows)
    assert len(set(picked.rows.tolist())) == len(picked.rows)
    assert all(0 <= row < rows for row in picked.rows)
    if picked.shown is not None:
        assert picked.shown.shape == picked.rows.shape
        assert ((picked.shown >= 0) & (picked.shown <= 1)).all()
    assert picked.rows.tolist() == select(name, pool, n, seed, multi_label, cold).rows.tolist()


@pytest.mark.parametrize(("name", "multi_label"), CASES)
@settings(max_examples=15)
@given(
    rows=st.integers(0, 60),
    n=st.integers(1, 25),
    labels=st.integers(2, 6),
    known=st.integers(0, 15),
    seed=st.integers(0, 999),
    copies=st.booleans(),
)
def test_n_of_n_none_twice_and_the_seed_decides(
    name: str, multi_label: bool, rows: int, n: int, labels: int, known: int, seed: int, copies: bool
) -> None:
    """``copies``: every text of the pool is one of three."""
    p, vectors = probabilities(rows, labels, seed, multi_label), embeddings(rows, seed)
    if copies:
        p, vectors = p[np.arange(rows) % 3 % max(1, rows)], vectors[np.arange(rows) % 3 % max(1, rows)]
    check(name, source(p, vectors, labelled(known, labels, seed, multi_label)), n, seed, multi_label)


@pytest.mark.parametrize("name", COLD_STARTS.names)
@settings(max_examples=15)
@given(rows=st.integers(0, 60), n=st.integers(1, 25), known=st.integers(0, 15), seed=st.integers(0, 999))
def test_a_cold_start_needs_no_model(name: str, rows: int, n: int, known: int, seed: int) -> None:
    pool = ArraySource(None, embeddings(rows, seed), labelled_rows=labelled(known, 3, seed))
    check(name, pool, n, seed, cold=True)
    assert select(name, pool, n, seed, cold=True).shown is None


@pytest.mark.parametrize(("name", "multi_label"), CASES)
@pytest.mark.parametrize("vector", [0.0, 1.0])
def test_texts_that_are_all_alike(name: str, multi_label: bool, vector: float) -> None:
    """All embeddings alike, all zero even, as of texts that an encoder says nothing about; all predicted the same."""
    vectors = np.full((40, WIDTH), vector, dtype=np.float32)
    p = np.tile(np.array([[1.0, 0.0, 0.0]], dtype=np.float32), (40, 1))
    known = Labelled(vectors[:4], np.tile(np.array([[1, 0, 0]]), (4, 1)), p[:4])
    check(name, source(p, vectors, known), 12, 0, multi_label)


@pytest.mark.parametrize(("name", "multi_label"), CASES)
def test_a_pool_larger_than_the_bound_is_drawn_from(name: str, multi_label: bool) -> None:
    """With a bound, embeddings are computed of so many texts at most, and of as many as are asked at least."""
    seen: list[int] = []

    class Counting(ArraySource):
        def embeddings(self, rows):  # type: ignore[no-untyped-def]
            seen.append(len(rows))
            return super().embeddings(rows)

    plain = source(probabilities(300, 4, 0, multi_label), embeddings(300, 0), labelled(9, 4, 0, multi_label))
    pool = Counting(**vars(plain))
    bounded = "candidates" in STRATEGIES.get(name).settings.model_fields
    given_bound: dict[str, Any] = {"candidates": 50} if bounded else {}
    assert len(select(name, pool, 60, 0, multi_label, **given_bound).rows) == 60
    assert len(select(name, pool, 20, 0, multi_label, **given_bound).rows) == 20
    assert not bounded or max(seen, default=0) <= 60


@pytest.mark.parametrize("name", INNER)
@pytest.mark.parametrize("inner", [n for n in STRATEGIES.names if n not in (*OF_SEVERAL_LABELS, *INNER, "mixed")])
def test_a_wrapper_lets_any_other_strategy_pick(name: str, inner: str) -> None:
    pool = source(probabilities(80, 3, 0), embeddings(80, 0), labelled(9, 3, 0))
    picked = select(name, pool, 15, 3, strategy=inner).rows.tolist()
    assert len(set(picked)) == 15
    assert picked == select(name, pool, 15, 3, strategy=inner).rows.tolist()


def test_what_was_computed_is_not_computed_again() -> None:
    """The whole pool passes through the model once, whoever looks at its probabilities afterwards."""
    asked: list[int] = []

    class Counting(ArraySource):
        def probabilities(self, rows):  # type: ignore[no-untyped-def]
            asked.append(len(rows))
            return super().probabilities(rows)

    pool = Counting(probabilities(50, 3, 0), embeddings(50, 0), labelled_rows=labelled(6, 3, 0))
    some = Candidates(pool, np.arange(50, dtype=np.int64), ("a", "b", "c"), False)
    _ = some.probabilities
    np.testing.assert_array_equal(some.take([4, 2]).given(None).take([1]).probabilities, some.probabilities[[2]])
    assert asked == [50]
