"""Batches and the hold-out: shares hold, nothing is asked twice, nobody can foresee or bias who is held out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, kstest

from tornio.query import pick_batch
from tornio.records import Purpose, text_digest
from tornio.tasks.holdout import is_reserved

pytestmark = pytest.mark.unit


@given(
    wanted=st.integers(0, 60),
    reserve=st.integers(0, 20),
    size=st.integers(4, 50),
    share=st.floats(0.01, 0.5),
    seed=st.integers(0, 99),
)
def test_a_batch_has_the_strategys_first_and_its_share_of_the_reserve(
    wanted: int, reserve: int, size: int, share: float, seed: int
) -> None:
    queries = np.random.default_rng(seed).permutation(wanted).tolist()
    judges = list(range(1000, 1000 + reserve))
    picked = pick_batch(queries, judges, size, share, seed)
    held = max(2, round(share * size))
    assert [p.row for p in picked if p.row >= 1000] == [p.row for p in picked if p.purpose is Purpose.HOLDOUT]
    assert {p.row for p in picked if p.purpose is Purpose.QUERY} == set(queries[: size - held])
    assert sum(p.purpose is Purpose.HOLDOUT for p in picked) == min(held, reserve)
    assert len({p.row for p in picked}) == len(picked) <= size
    assert picked == pick_batch(queries, judges, size, share, seed)


def test_the_reserve_is_drawn_uniformly_and_mixed_in() -> None:
    rows, places = np.zeros(30), np.zeros(20)
    for seed in range(1500):
        for place, picked in enumerate(pick_batch(range(100), range(100, 130), 20, 0.1, seed)):
            if picked.purpose is Purpose.HOLDOUT:
                rows[picked.row - 100] += 1
                places[place] += 1
    assert rows.min() > 60  # 100 expected of each
    assert rows.max() < 145
    assert places.min() > 100  # 150 expected of each
    assert places.max() < 205


@given(text=st.text(max_size=30), key=st.text(max_size=10), share=st.floats(0.01, 0.5))
def test_texts_that_count_as_the_same_are_held_out_together(text: str, key: str, share: float) -> None:
    variant = f"  {text.replace(' ', '   ')}\n"
    assert is_reserved(key, text_digest(text), share) == is_reserved(key, text_digest(variant), share)


@given(text=st.text(max_size=30), small=st.floats(0.01, 0.5), large=st.floats(0.01, 0.5))
def test_a_larger_share_holds_out_more_of_the_same(text: str, small: float, large: float) -> None:
    small, large = sorted((small, large))
    assert is_reserved("k", text_digest(text), small) <= is_reserved("k", text_digest(text), large)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_the_share_is_held_out(share: float) -> None:
    held = sum(is_reserved("some task", text_digest(f"text {i}"), share) for i in range(20_000))
    assert binomtest(held, 20_000, share).pvalue > 0.001


def test_the_hash_is_uniform_and_each_key_chooses_for_itself() -> None:
    """The number behind the choice, found by halving the share; two keys agree as often as chance says."""

    def number(text: str) -> float:
        low, high = 0.0, 1.0
        for _ in range(20):
            middle = (low + high) / 2
            low, high = (low, middle) if is_reserved("key", text_digest(text), middle) else (middle, high)
        return low

    assert kstest([number(f"text {i}") for i in range(1000)], "uniform").pvalue > 0.001
    digests = [text_digest(f"text {i}") for i in range(20_000)]
    both = sum(is_reserved("one", d, 0.1) and is_reserved("two", d, 0.1) for d in digests)
    assert binomtest(both, 20_000, 0.01).pvalue > 0.001
