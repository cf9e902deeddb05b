"""Arithmetic that strategies share: the same as written plainly, whatever the size of a block."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.query.pools import embeddings
from tornio.query import vectors
from tornio.query.vectors import highest, nearest_square, neighbours, squares

pytestmark = pytest.mark.unit


@given(scores=st.lists(st.integers(0, 5), max_size=40), n=st.integers(0, 50))
def test_the_highest_come_in_order_and_the_first_of_equals_first(scores: list[int], n: int) -> None:
    order = sorted(range(len(scores)), key=lambda place: -scores[place])[:n]
    assert highest(np.array(scores, dtype=np.float64), n).tolist() == order


@pytest.mark.parametrize("entries", [1, 100, 2**24])
def test_distances_are_the_same_in_blocks(entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "ENTRIES", entries)
    some, others = embeddings(30, 0), embeddings(11, 1)
    plain = ((some[:, None] - others[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(squares(some, others), plain, atol=1e-4)
    np.testing.assert_allclose(nearest_square(some, others), plain.min(axis=1), atol=1e-4)
    assert [set(row) for row in neighbours(some, others, 3)] == [set(row) for row in plain.argsort(axis=1)[:, :3]]
    assert neighbours(some, others[:2], 3).shape == (30, 2)
    assert np.isinf(nearest_square(some, others[:0])).all()
