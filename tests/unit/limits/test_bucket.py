"""A bucket never gives more than its burst and its rate, and says rightly when to come back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.limits.bucket import Rate, draw, full, refilled, wait_s

pytestmark = pytest.mark.unit

RATES = st.builds(Rate, st.floats(0.01, 1e4), st.floats(1, 1e5))
PAUSES = st.floats(0, 1e3)
REQUESTS = st.lists(st.tuples(PAUSES, st.integers(1, 1_000)), max_size=60)
CLOSE = 1e-3
"""Texts by which floats may be wrong after so many steps."""


@given(RATES, REQUESTS)
def test_in_any_stretch_of_time_no_more_is_admitted_than_burst_and_rate_allow(
    rate: Rate, requests: Sequence[tuple[float, int]]
) -> None:
    now, bucket = 0.0, full(rate, 0.0)
    admitted: list[tuple[float, int]] = []
    for pause, texts in requests:
        now += pause
        bucket, taken, wait = draw(bucket, rate, texts, texts, now)
        assert (taken == texts) is (wait == 0)
        if taken:
            admitted.append((now, texts))
    for first in range(len(admitted)):
        for last in range(first, len(admitted)):
            stretch = admitted[first : last + 1]
            seconds = stretch[-1][0] - stretch[0][0]
            at_once = max(rate.burst, *(texts for _, texts in stretch), 0)
            assert sum(texts for _, texts in stretch) <= at_once + rate.per_second * seconds + CLOSE


@given(RATES, REQUESTS, st.integers(1, 1_000))
def test_after_the_wait_the_request_is_admitted_and_not_before(
    rate: Rate, requests: Sequence[tuple[float, int]], texts: int
) -> None:
    now, bucket = 0.0, full(rate, 0.0)
    for pause, others in requests:
        now += pause
        bucket, _, _ = draw(bucket, rate, others, others, now)
    _, _, wait = draw(bucket, rate, texts, texts, now)
    assert draw(bucket, rate, texts, texts, now + wait * (1 + 1e-9) + CLOSE / rate.per_second)[2] == 0
    if wait * rate.per_second > CLOSE:
        assert draw(bucket, rate, texts, texts, now + wait / 2)[2] > 0


@given(RATES, st.floats(0, 1_000), st.floats(0, 1_000))
def test_a_block_takes_what_is_there_and_leaves_no_debt_beyond_the_least(rate: Rate, least: float, more: float) -> None:
    bucket, taken, wait = draw(full(rate, 0.0), rate, least, least + more, 0.0)
    assert wait == 0
    assert least <= taken <= least + more
    assert bucket.level >= min(0.0, rate.burst - least)


def test_a_request_beyond_the_burst_leaves_a_debt() -> None:
    rate = Rate(per_second=10, burst=100)
    bucket, taken, _ = draw(full(rate, 0), rate, 250, 250, 0)
    assert (taken, bucket.level) == (250, -150)
    assert wait_s(refilled(bucket, rate, 5), rate, 1) == pytest.approx(10.1)
    assert wait_s(refilled(bucket, rate, 5), rate, 0) == 0


def test_a_rate_that_becomes_smaller_holds_at_once() -> None:
    bucket = full(Rate(10, 100), 0)
    assert refilled(bucket, Rate(1, 5), 0).level == 5
