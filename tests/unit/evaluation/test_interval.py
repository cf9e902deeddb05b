"""How sure an accuracy is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from tornio.evaluation import labels_to_halve, wilson_interval

pytestmark = pytest.mark.unit

counts = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_it_is_scipys(count: tuple[int, int]) -> None:
    theirs = binomtest(*count).proportion_ci(0.95, method="wilson")
    assert wilson_interval(*count) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_nothing_judged_says_nothing() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert labels_to_halve(0, 0) > 0


@given(counts)
def test_so_many_labels_halve_the_width_and_one_less_does_not(count: tuple[int, int]) -> None:
    correct, n = count

    def width(labels: int) -> float:
        low, high = wilson_interval(correct / n * labels, labels)
        return high - low

    more = labels_to_halve(correct, n)
    assert width(n + more) <= width(n) / 2 < width(n + more - 1)


@pytest.mark.parametrize("n", [50, 500])
def test_it_takes_about_three_times_as_many(n: int) -> None:
    assert 2.5 * n < labels_to_halve(round(0.8 * n), n) < 3.5 * n


@pytest.mark.parametrize(("n", "p"), [(50, 0.8), (200, 0.9), (100, 0.5)])
def test_it_covers_the_truth_as_often_as_it_says(n: int, p: float) -> None:
    k = np.arange(n + 1)
    covers = np.array([(ci := wilson_interval(int(i), n))[0] <= p <= ci[1] for i in k])
    assert 0.92 < float((binom.pmf(k, n, p) * covers).sum()) < 0.98
