"""Thresholds above which predictions may become labels: only where the hold-out shows that few of them are wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from tornio.evaluation.automatic import (
    HeldOut,
    choose_threshold,
    coverage_grid,
    least_labels,
    lower_bound,
    measured,
    outlook,
    passes,
    upper_bound,
)

pytestmark = pytest.mark.unit


def held(confidences: list[float], right: list[bool]) -> HeldOut:
    values = np.array(confidences, dtype=np.float32)
    return HeldOut(values, np.zeros(len(values), dtype=np.int64), np.array(right, dtype=bool))


def test_the_numbers_of_labels_that_the_binomial_asks_for() -> None:
    assert least_labels(0, 0.05, 0.9) == 45  # .95 ** 45 < .1
    assert least_labels(1, 0.05, 0.9) == 77
    assert passes(45, 0, 0.05, 0.9)
    assert not passes(44, 0, 0.05, 0.9)
    assert not passes(0, 0, 0.5, 0.5)


@given(judged=st.integers(1, 400), data=st.data(), target=st.sampled_from([0.02, 0.05, 0.2]))
def test_a_threshold_passes_exactly_where_its_bound_is_at_most_the_target(
    judged: int, data: st.DataObject, target: float
) -> None:
    wrong = data.draw(st.integers(0, judged))
    bound = upper_bound(judged, wrong, 0.9)
    if abs(bound - target) > 1e-9:
        assert passes(judged, wrong, target, 0.9) == (bound < target)
    assert lower_bound(judged, wrong, 0.9) <= wrong / judged <= bound


def test_all_of_a_pool_is_labelled_by_a_version_that_is_never_wrong() -> None:
    pool = np.linspace(0.5, 1, 1000, dtype=np.float32)
    chosen = choose_threshold(pool, held(list(np.linspace(0.5, 1, 100)), [True] * 100), 0.05, 0.9)
    assert chosen is not None
    assert (chosen.coverage, chosen.judged, chosen.wrong) == (1.0, 100, 0)
    assert chosen.bound == pytest.approx(1 - 0.1 ** (1 / 100))


def test_the_sequence_stops_at_the_first_failure() -> None:
    """Errors at the start end it, although many right predictions below would pass."""
    confidences = list(np.linspace(1, 0.5, 400))
    pool = np.linspace(0.5, 1, 1000, dtype=np.float32)
    right = [False] * 10 + [True] * 390
    assert passes(400, 10, 0.05, 0.9)
    assert choose_threshold(pool, held(confidences, right), 0.05, 0.9) is None


def test_too_few_labels_allow_nothing() -> None:
    pool = np.linspace(0.5, 1, 1000, dtype=np.float32)
    assert choose_threshold(pool, held([0.9] * 44, [True] * 44), 0.05, 0.9) is None
    assert choose_threshold(pool, held([], []), 0.05, 0.9) is None
    assert choose_threshold(pool[:0], held([0.9] * 100, [True] * 100), 0.05, 0.9) is None
    sure = choose_threshold(pool, held([0.9] * 60, [True] * 60), 0.05, 0.9)
    assert sure is not None
    assert sure.coverage == 1.0


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=300))
def test_the_grid_falls_and_says_how_much_of_the_pool_is_above(values: list[float]) -> None:
    pool = np.array(values, dtype=np.float32)
    grid = coverage_grid(pool)
    thresholds = [threshold for threshold, _ in grid]
    assert thresholds == sorted(set(thresholds), reverse=True)
    assert grid[-1] == (float(pool.min()), 1.0)
    assert all(coverage == float((pool >= threshold).mean()) for threshold, coverage in grid)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10_000), n=st.integers(0, 300), target=st.sampled_from([0.02, 0.05, 0.1]))
def test_what_is_chosen_passes_its_own_test(seed: int, n: int, target: float) -> None:
    random = np.random.default_rng(seed)
    pool, confidences = (random.random(size).astype(np.float32) for size in (500, n))
    labels = HeldOut(confidences, np.zeros(n, dtype=np.int64), random.random(n) < 0.9 + 0.1 * confidences)
    chosen = choose_threshold(pool, labels, target, 0.9)
    if chosen is not None:
        assert binom.cdf(chosen.wrong, chosen.judged, target) <= 0.1 + 1e-9
        assert chosen == measured(pool, labels, chosen.threshold, 0.9)
        assert chosen.bound <= target + 1e-9


def test_the_share_of_wrong_labels_exceeds_the_target_no_more_often_than_promised() -> None:
    """A null case at its edge: above every threshold, exactly the target is wrong, so each pass is a false one.

    Summed over all draws exactly, not sampled: the test in sequence passes only if its first test does.
    """
    n, target, confidence = 120, 0.05, 0.9
    first = least_labels(1, target, confidence)
    chance = sum(binom.pmf(wrong, first, target) for wrong in range(first + 1) if passes(first, wrong, target, 0.9))
    assert first < n
    assert chance <= 1 - confidence


def test_more_labels_would_allow_more_and_the_outlook_says_how_many() -> None:
    pool = np.linspace(0.5, 1, 1000, dtype=np.float32)
    few = held(list(np.linspace(0.5, 1, 40)), [True] * 40)
    assert choose_threshold(pool, few, 0.05, 0.9) is None
    expected = outlook(pool, few, 0.05, 0.9)
    assert expected
    assert expected[0][0] > 40
    assert [coverage for _, coverage in expected] == sorted(coverage for _, coverage in expected)
    assert outlook(pool, held([], []), 0.05, 0.9) == ()


def test_the_texts_of_one_label() -> None:
    both = HeldOut(
        np.array([0.9, 0.8, 0.7], np.float32), np.array([0, 1, 0]), np.array([True, False, False])
    )  # fmt: skip
    assert (len(both.of(0)), both.of(0).above(0.75), both.of(1).above(0.0)) == (2, (1, 0), (1, 1))
