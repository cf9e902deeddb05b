"""Sessions: both implementations keep the same promises, and the stored ones hold at every replica."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from services.gateway.sessions.memory import MemorySessions
from services.gateway.sessions.port import Sessions, form_token, is_token
from services.gateway.sessions.stored import KEPT_S, StoreSessions
from tornio.schemas import keys
from tornio.storage.memory import MemoryStore
from tornio.storage.port import ObjectInfo

pytestmark = pytest.mark.unit

KEY = hashlib.sha256(b"a-key-of-some-length").hexdigest()


class Clock:
    """Both clocks of a process, which a test moves."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 6, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def seconds(self) -> float:
        return self.moment.timestamp()

    def pass_by(self, **passed: float) -> None:
        self.moment += timedelta(**passed)


Make = Callable[[Clock], Sessions]
BOTH = pytest.mark.parametrize(
    "make",
    [
        lambda clock: MemorySessions(12, clock),
        lambda clock: StoreSessions(MemoryStore(), 12, clock, clock.seconds),
    ],
    ids=["memory", "store"],
)


@BOTH
def test_a_session_has_its_key_until_it_ends(make: Make) -> None:
    async def story() -> None:
        sessions = make(Clock())
        one, two = await sessions.begin(KEY), await sessions.begin("f" * 64)
        assert is_token(one)
        assert is_token(two)
        assert [await sessions.find(token) for token in (one, two)] == [KEY, "f" * 64]
        await sessions.end(one)
        await sessions.end(one)
        assert [await sessions.find(token) for token in (one, two)] == [None, "f" * 64]

    asyncio.run(story())


@BOTH
def test_a_session_expires(make: Make) -> None:
    async def story() -> None:
        sessions = make(clock := Clock())
        token = await sessions.begin(KEY)
        clock.pass_by(hours=12, seconds=-1)
        assert await sessions.find(token) == KEY
        clock.pass_by(seconds=1)
        assert await sessions.find(token) is None

    asyncio.run(story())


@BOTH
@pytest.mark.parametrize("token", ["", "x", KEY, "../" * 14 + "x", "A" * 43])
def test_what_is_no_token_finds_and_ends_nothing(make: Make, token: str) -> None:
    async def story() -> None:
        sessions = make(Clock())
        assert await sessions.find(token) is None
        await sessions.end(token)

    asyncio.run(story())


def test_every_replica_knows_a_session_and_notices_its_end() -> None:
    async def story() -> None:
        store, clock = MemoryStore(), Clock()
        here, there = (StoreSessions(store, 12, clock, clock.seconds) for _ in range(2))
        token = await here.begin(KEY)
        assert await there.find(token) == KEY
        await here.end(token)
        assert await here.find(token) is None
        clock.pass_by(seconds=KEPT_S)
        assert await there.find(token) is None

    asyncio.run(story())


def test_a_found_session_is_not_looked_up_at_each_request() -> None:
    class Counting(MemoryStore):
        reads = 0

        def get(self, key: str):  # type: ignore[no-untyped-def]
            self.reads += 1
            return super().get(key)

    async def story() -> None:
        store, clock = Counting(), Clock()
        sessions = StoreSessions(store, 12, clock, clock.seconds)
        token = await sessions.begin(KEY)
        store.reads = 0
        for _ in range(10):
            assert await sessions.find(token) == KEY
        assert store.reads == 1
        await sessions.find("x" * 30)
        assert store.reads == 1

    asyncio.run(story())


def test_a_login_deletes_what_has_expired() -> None:
    async def story() -> None:
        store, clock = MemoryStore(), Clock()
        sessions = StoreSessions(store, 12, clock, clock.seconds)
        for hours in (0, 0, 0, 6, 6):
            clock.pass_by(hours=hours)
            await sessions.begin(KEY)
            assert sessions.sweeping is not None
            sessions.sweeping.result()
        assert len(list(store.list(keys.SESSIONS))) == 2

    asyncio.run(story())


def test_a_login_does_not_wait_for_the_sweep() -> None:
    class Stuck(MemoryStore):
        """A store that lists nothing until it may."""

        may = threading.Event()

        def list(self, prefix: str, start_after: str | None = None) -> Iterator[ObjectInfo]:
            self.may.wait()
            return super().list(prefix, start_after)

    async def story() -> None:
        store = Stuck()
        sessions = StoreSessions(store)
        tokens = [await sessions.begin(KEY) for _ in range(10)]
        assert [await sessions.find(token) for token in tokens] == [KEY] * 10
        assert sessions.sweeping is not None
        assert not sessions.sweeping.done()
        store.may.set()
        sessions.sweeping.result()

    asyncio.run(story())


def test_the_store_holds_neither_token_nor_key() -> None:
    async def story() -> None:
        store = MemoryStore()
        token = await StoreSessions(store).begin(KEY)
        (stored,) = store.list(keys.SESSIONS)
        body = store.get(stored.key).body.decode()
        assert token not in stored.key + body
        assert form_token(token) not in stored.key + body

    asyncio.run(story())
