"""Batches and the hold-out: shares hold, nothing is asked twice, nobody can foresee or bias who is held out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, kstest

from tornio.query import holdout_part, pick_batch, present_share
from tornio.records import Purpose, text_digest
from tornio.seeds import derive_seed
from tornio.tasks.holdout import is_reserved

pytestmark = pytest.mark.unit


@given(
    wanted=st.integers(0, 60),
    reserve=st.integers(0, 20),
    size=st.integers(4, 50),
    held=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_a_batch_has_the_strategys_first_and_its_part_of_the_reserve(
    wanted: int, reserve: int, size: int, held: int, seed: int
) -> None:
    queries = np.random.default_rng(seed).permutation(wanted).tolist()
    judges = list(range(1000, 1000 + reserve))
    picked = pick_batch(queries, judges, size, held, seed)
    assert [p.row for p in picked if p.row >= 1000] == [p.row for p in picked if p.purpose is Purpose.HOLDOUT]
    assert {p.row for p in picked if p.purpose is Purpose.QUERY} == set(queries[: size - held])
    assert sum(p.purpose is Purpose.HOLDOUT for p in picked) == min(held, reserve)
    assert len({p.row for p in picked}) == len(picked) <= size
    assert picked == pick_batch(queries, judges, size, held, seed)


SEEDS = st.integers(0, 2**32 - 1)


@given(
    sizes=st.lists(st.integers(4, 200), min_size=1, max_size=60),
    share=st.floats(0.001, 0.5),
    seed=SEEDS,
    before=st.integers(0, 5000),
)
def test_the_share_is_kept_over_batches_of_any_size(sizes: list[int], share: float, seed: int, before: int) -> None:
    asked, held = before, 0
    for size in sizes:
        part = holdout_part(asked, size, share, seed)
        assert 0 <= part < size
        assert abs(part - share * size) <= 1 + 1e-6
        asked, held = asked + size, held + part
        assert abs(held - share * (asked - before)) <= 1 + 1e-6


@given(size=st.integers(4, 50), share=st.floats(0.01, 0.5), seed=SEEDS)
def test_even_a_trickle_never_ends(size: int, share: float, seed: int) -> None:
    trickle = present_share(share, labelled=400, enough=400, imported=0, judging=50)
    assert 0 < trickle < share
    batches = math.ceil(1 / (trickle * size)) + 1
    assert sum(holdout_part(n * size, size, trickle, seed) for n in range(7, 7 + batches)) >= 1


def test_a_batch_of_five_has_no_hold_out_in_every_second_batch() -> None:
    parts = [holdout_part(5 * n, 5, 0.1, 0) for n in range(8)]
    assert parts == [0, 1, 0, 1, 0, 1, 0, 1]
    assert [holdout_part(20 * n, 20, 0.1, 0) for n in range(4)] == [2, 2, 2, 2]


def test_tasks_begin_at_different_batches() -> None:
    firsts = [
        next(n for n in range(99) if holdout_part(5 * n, 5, 0.02, derive_seed("task", seed))) for seed in range(300)
    ]
    assert {0, 9} <= set(firsts) <= set(range(10))
    assert 3.5 < sum(firsts) / len(firsts) < 5.5


@pytest.mark.parametrize(
    ("labelled", "imported", "share"),
    [(0, 0, 0.2), (399, 49, 0.2), (400, 0, 0.02), (60, 50, 0.02), (2000, 2000, 0.02)],
)
def test_the_share_falls_to_a_tenth_once_the_hold_out_is_large_enough(
    labelled: int, imported: int, share: float
) -> None:
    assert present_share(0.2, labelled, 400, imported, 50) == pytest.approx(share)


def test_without_a_gate_that_needs_labels_any_imported_text_is_a_test_set_and_none_is_none() -> None:
    assert present_share(0.2, 0, 400, 0, 0) == 0.2
    assert present_share(0.2, 1, 400, 1, 0) == pytest.approx(0.02)


def test_the_reserve_is_drawn_uniformly_and_mixed_in() -> None:
    rows, places = np.zeros(30), np.zeros(20)
    for seed in range(1500):
        for place, picked in enumerate(pick_batch(range(100), range(100, 130), 20, 2, seed)):
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
