"""Limits of keys in one gateway and in several: one contract, and what only those that share can do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from services.limits import leased
from services.limits.book import GATEWAY_S, LimitBook
from services.limits.leased import ASK_AGAIN_S, AWAY_S, BLOCK_S, LeasedLimits
from services.limits.local import LocalLimits
from services.limits.port import Ask, Grant, KeyLimits, Limits
from tornio.errors import Throttled, Unavailable

pytestmark = pytest.mark.unit

SLOW = KeyLimits(texts_per_second=10, burst_texts=100)
TWO = KeyLimits(concurrent_requests=2)


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


def test_what_was_borrowed_and_not_used_lapses() -> None:
    async def story(world: World) -> None:
        limits = world.gateway()
        await admitted(limits, 1)
        before = world.asked
        assert await admitted(limits, 1) == 0
        assert world.asked == before
        world.clock += BLOCK_S
        assert await admitted(limits, 1) == 0
        assert world.asked == before + 1

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
