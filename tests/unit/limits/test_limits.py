"""Limits of keys in one gateway and in several: one contract, and what only those that share can do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.limits import leased
from services.limits.book import GATEWAY_S, LimitBook
from services.limits.bucket import Rate
from services.limits.leased import ASK_AGAIN_S, AWAY_S, BLOCK_S, LeasedLimits, ahead
from services.limits.local import LocalLimits
from services.limits.port import Ask, Grant, KeyLimits, Limits
from tornio.errors import Throttled, Unavailable

pytestmark = pytest.mark.unit

SLOW = KeyLimits(texts_per_second=10, burst_texts=100)
RATE = Rate(10, 100)
TWO = KeyLimits(concurrent_requests=2)
CLOSE = 1e-3
"""Texts by which floats may be wrong after so many steps."""

Traffic = Sequence[tuple[int, int, int]]


class World:
    """A clock, and the book that all gateways ask. ``away``: nobody answers. ``asked``: how often it was asked."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.away = False
        self.asked = 0
        self.book = LimitBook(lambda: self.clock)

    async def lend(self, gateway: str, asks: Sequence[Ask]) -> Sequence[Grant]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("The controller is away.")
        return await self.book.lend(gateway, asks)

    def gateway(self, name: str = "one") -> LeasedLimits:
        return LeasedLimits(self, name, lambda: self.clock)


async def admitted(limits: Limits, texts: int, of: KeyLimits = SLOW, key: str = "shop") -> float:
    """Ask once. Returns 0, or the seconds after which to ask again."""
    try:
        async with limits.admitted(key, of, texts):
            return 0.0
    except Throttled as error:
        return error.retry_after


def tell(story: Callable[[World], Awaitable[None]]) -> None:
    async def told() -> None:
        await story(World())

    asyncio.run(told())


@pytest.fixture(params=["local", "leased"])
def made(request: pytest.FixtureRequest) -> Callable[[World], Limits]:
    def make(world: World) -> Limits:
        return LocalLimits(lambda: world.clock) if request.param == "local" else world.gateway()

    return make


def test_a_burst_then_the_rate(made: Callable[[World], Limits]) -> None:
    async def story(world: World) -> None:
        limits = made(world)
        assert [await admitted(limits, 50) for _ in range(2)] == [0, 0]
        wait = await admitted(limits, 50)
        assert wait == pytest.approx(5)
        world.clock += wait
        assert await admitted(limits, 50) == 0
        assert await admitted(limits, 50) > 0
        assert await admitted(limits, 50, key="other") == 0

    tell(story)


def test_a_request_beyond_the_burst_is_admitted_and_paid_for_later(made: Callable[[World], Limits]) -> None:
    async def story(world: World) -> None:
        limits = made(world)
        assert await admitted(limits, 250) == 0
        assert await admitted(limits, 1) == pytest.approx(15.1)

    tell(story)


def test_requests_at_a_time(made: Callable[[World], Limits]) -> None:
    async def story(world: World) -> None:
        limits = made(world)
        async with limits.admitted("shop", TWO, 1):
            async with limits.admitted("shop", TWO, 10_000):
                assert await admitted(limits, 1, TWO) == 1
                assert await admitted(limits, 1, TWO, key="other") == 0
            assert await admitted(limits, 1, TWO) == 0

    tell(story)


def test_a_request_that_fails_is_over(made: Callable[[World], Limits]) -> None:
    async def story(world: World) -> None:
        limits = made(world)
        for _ in range(5):
            with pytest.raises(ValueError, match="broken"):
                async with limits.admitted("shop", TWO, 1):
                    raise ValueError("broken")

    tell(story)


def test_several_gateways_share_one_limit() -> None:
    async def story(world: World) -> None:
        gateways = [world.gateway(str(number)) for number in range(3)]
        count = 0
        for step in range(200):  # ten seconds, at ten times the rate
            count += [await admitted(gateways[step % 3], 5)].count(0) * 5
            world.clock += 0.05
        assert 150 <= count <= 200 + 3 * 5
        both = gateways[0].admitted("x", TWO, 1), gateways[1].admitted("x", TWO, 1)
        async with both[0], both[1]:
            assert await admitted(gateways[2], 1, TWO, "x") > 0

    tell(story)


def test_most_requests_ask_nobody() -> None:
    async def story(world: World) -> None:
        limits, fast = world.gateway(), KeyLimits(texts_per_second=1_000, burst_texts=10_000)
        for _ in range(1_000):
            assert await admitted(limits, 1, fast) == 0
            world.clock += 0.002
        assert world.asked <= 2 / BLOCK_S * 2
        refused = world.gateway()
        await admitted(refused, 20_000, fast)
        before = world.asked
        for _ in range(100):
            await admitted(refused, 1, fast)
            world.clock += ASK_AGAIN_S / 100
        assert world.asked - before <= 3

    tell(story)


def test_only_a_key_that_comes_often_borrows_in_advance() -> None:
    async def story(world: World) -> None:
        limits = world.gateway()
        for _ in range(3):
            before = world.asked
            assert await admitted(limits, 1) == 0
            assert world.asked == before + 1
            world.clock += BLOCK_S
        world.clock -= BLOCK_S / 2
        assert await admitted(limits, 1) == 0  # with five more
        before = world.asked
        for _ in range(5):
            world.clock += BLOCK_S
            assert await admitted(limits, 1) == 0
        assert world.asked == before

    tell(story)


@pytest.mark.parametrize("share", [0.4, 0.8])
@pytest.mark.parametrize("gateways", [2, 4])
def test_a_key_that_stays_below_its_rate_is_refused_nothing(gateways: int, share: float) -> None:
    async def story(world: World) -> None:
        several, chance = [world.gateway(str(number)) for number in range(gateways)], random.Random(0)
        exact = LocalLimits(lambda: world.clock)
        for _ in range(2_000):
            world.clock += chance.expovariate(10 * share)
            assert await admitted(exact, 1) == 0
            assert await admitted(chance.choice(several), 1) == 0

    tell(story)


TRAFFIC = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 2), st.integers(1, 60)), min_size=1, max_size=80)
"""Pauses in hundredths of a second, the gateway, texts."""


@given(TRAFFIC)
def test_what_fits_into_the_burst_without_what_gateways_hold_is_admitted(traffic: Traffic) -> None:
    async def story(world: World) -> None:
        gateways = [world.gateway(str(number)) for number in range(3)]
        smaller = KeyLimits(SLOW.texts_per_second, 100 - 3 * int(ahead(RATE)))
        exact = LocalLimits(lambda: world.clock)
        for pause, at, texts in traffic:
            world.clock += pause / 100
            if await admitted(exact, texts, smaller) == 0:
                assert await admitted(gateways[at], texts) == 0

    tell(story)


@given(TRAFFIC)
def test_in_any_stretch_of_time_gateways_admit_no_more_than_one_bucket_and_what_they_held(traffic: Traffic) -> None:
    async def story(world: World) -> None:
        gateways = [world.gateway(str(number)) for number in range(3)]
        came: list[tuple[float, int]] = []
        for pause, at, texts in traffic:
            world.clock += pause / 100
            if await admitted(gateways[at], texts) == 0:
                came.append((world.clock, texts))
        for first, (begin, _) in enumerate(came):
            total = 0
            for end, texts in came[first:]:
                total += texts
                assert total <= RATE.burst + RATE.per_second * (end - begin) + 3 * ahead(RATE) + CLOSE

    tell(story)


def test_texts_that_a_request_waits_with_are_not_used_twice() -> None:
    async def story(world: World) -> None:
        one, two = world.gateway("one"), world.gateway("two")
        assert [await admitted(one, 1) for _ in range(2)] == [0, 0]  # leaves five in advance
        assert await admitted(two, 48) == 0
        large, small = await asyncio.gather(admitted(one, 50), admitted(one, 5))
        assert large == 0
        assert small > 0

    tell(story)


def test_after_a_large_request_was_refused_a_small_one_that_fits_is_admitted(made: Callable[[World], Limits]) -> None:
    async def story(world: World) -> None:
        limits = made(world)
        assert await admitted(limits, 80) == 0
        assert await admitted(limits, 50) == pytest.approx(3)
        assert await admitted(limits, 60) == pytest.approx(4)
        assert await admitted(limits, 10) == 0
        assert await admitted(limits, 50) > 0

    tell(story)


def test_a_gateway_that_holds_fewer_requests_than_before_still_counts_texts() -> None:
    async def story(world: World) -> None:
        both = KeyLimits(texts_per_second=10, burst_texts=100, concurrent_requests=4)
        one, two = world.gateway("one"), world.gateway("two")
        async with one.admitted("shop", both, 1):
            async with one.admitted("shop", both, 1), one.admitted("shop", both, 1):
                pass
            world.clock += GATEWAY_S + 1  # the lender has forgotten the first, and the burst is whole again
            async with two.admitted("shop", both, 1):
                async with two.admitted("shop", both, 1):
                    assert await admitted(one, 60, both) == 0
                assert await admitted(two, 60, both) > 0

    tell(story)


def test_while_the_lender_is_away_each_has_its_part() -> None:
    async def story(world: World) -> None:
        one, two = world.gateway("one"), world.gateway("two")
        for limits in (one, two, one):
            await admitted(limits, 1)
            world.clock += BLOCK_S
        world.away = True
        assert await admitted(one, 50) == 0  # half of the burst
        assert await admitted(one, 50) == pytest.approx(10)  # at half of the rate
        asked = world.asked
        assert await admitted(one, 50) > 0
        assert world.asked == asked
        async with one.admitted("x", TWO, 1):
            assert await admitted(one, 1, TWO, "x") > 0
        world.away = False
        world.clock += max(AWAY_S, 10)
        assert await admitted(one, 90) == 0

    tell(story)


def test_a_gateway_that_ended_gives_its_requests_back() -> None:
    async def story(world: World) -> None:
        ended, other = world.gateway("ended"), world.gateway("other")
        async with ended.admitted("shop", TWO, 1), ended.admitted("shop", TWO, 1):
            assert await admitted(other, 1, TWO) > 0
            world.clock += GATEWAY_S + 1
            assert await admitted(other, 1, TWO) == 0

    tell(story)


def test_requests_that_are_no_longer_needed_go_to_other_gateways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leased, "RENEW_S", 0.0)

    async def story(world: World) -> None:
        one, two = world.gateway("one"), world.gateway("two")
        async with one.admitted("shop", TWO, 1), one.admitted("shop", TWO, 1):
            for _ in range(20):
                await asyncio.sleep(0)
            assert await admitted(two, 1, TWO) > 0
        for _ in range(50):
            await asyncio.sleep(0)
        async with two.admitted("shop", TWO, 1), two.admitted("shop", TWO, 1):
            pass

    tell(story)
