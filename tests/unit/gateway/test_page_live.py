"""What an open page is told: each change once, whoever else watches, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from services.gateway.callers import ANYBODY
from services.gateway.page.live import LIFE_S, MOST_OF_KEY, Live, mark_of
from tests.unit.gateway.fake import FakeBackend, FakeTask
from tornio.api import AsksStatus, ReplicaStatus, TaskName, TaskStatus
from tornio.errors import Throttled, Unavailable
from tornio.spec import TaskSpec

pytestmark = pytest.mark.unit

TASK = TaskName("acme", "support")


class Watching(FakeBackend):
    looks = 0

    async def status(self, task: TaskName) -> TaskStatus:
        self.looks += 1
        return await super().status(task)


class Time:
    """A clock that moves when somebody sleeps. ``then``: what happens at each sleep."""

    def __init__(self, then: Callable[[int], None] = lambda nth: None) -> None:
        self.seconds, self.sleeps, self.then = 0.0, 0, then

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.sleeps += 1
        self.then(self.sleeps)
        await asyncio.sleep(0)


def backend() -> Watching:
    spec = TaskSpec.model_validate({"workspace": "acme", "name": "support", "labels": ["a", "b"]})
    return Watching({TASK: FakeTask(spec)})


async def read(live: Live) -> list[str]:
    return [one async for one in live.events(TASK, ANYBODY)]


def marks(events: list[str]) -> list[str]:
    return [event for event in events if event.startswith("data: ")]


def test_a_stream_tells_each_change_once_and_ends() -> None:
    fake = backend()

    def change(nth: int) -> None:
        if nth in (3, 6):
            fake.held[TASK].asks = AsksStatus(paused=nth == 3)

    time = Time(change)
    events = asyncio.run(read(Live(fake, time.now, time.sleep)))
    first, second, third = marks(events)
    assert first == third != second
    assert ": alive\n\n" in events
    assert time.seconds == LIFE_S


def test_a_task_that_cannot_be_read_for_a_moment_changes_nothing() -> None:
    fake = backend()

    def fail(nth: int) -> None:
        fake.fails = Unavailable("the store is away") if nth < 4 else None

    time = Time(fail)
    assert len(marks(asyncio.run(read(Live(fake, time.now, time.sleep))))) == 1


def test_all_who_watch_a_task_share_one_look() -> None:
    fake, time = backend(), Time()

    async def moment(live: Live) -> None:
        streams = [live.events(TASK, ANYBODY) for _ in range(5)]
        for stream in streams:
            assert (await anext(stream)).startswith("retry")
        for stream in streams:
            assert (await anext(stream)).startswith("data")

    asyncio.run(moment(Live(fake, time.now, time.sleep)))
    assert fake.looks == 1


def test_a_key_has_so_many_streams_and_closing_one_makes_room() -> None:
    async def story() -> None:
        live = Live(backend())
        streams = [live.events(TASK, ANYBODY) for _ in range(MOST_OF_KEY)]
        for stream in streams:
            await anext(stream)
        with pytest.raises(Throttled, match="load it again"):
            live.events(TASK, ANYBODY)
        await streams[0].aclose()  # type: ignore[attr-defined]
        live.events(TASK, ANYBODY)

    asyncio.run(story())


def test_streams_that_were_let_in_at_once_do_not_pass_the_limit() -> None:
    async def story() -> None:
        live = Live(backend())
        streams = [live.events(TASK, ANYBODY) for _ in range(MOST_OF_KEY + 1)]
        assert [await anext(stream) for stream in streams] == ["retry: 1000\n\n"] * MOST_OF_KEY + ["retry: 10000\n\n"]
        with pytest.raises(StopAsyncIteration):
            await anext(streams[-1])

    asyncio.run(story())


def test_ages_are_no_news() -> None:
    async def story() -> None:
        status = await backend().status(TASK)
        young, old = (
            status.model_copy(update={"replicas": [ReplicaStatus(replica="r1", age_s=age)]}) for age in (0.1, 2.1)
        )
        away = status.model_copy(update={"replicas": [ReplicaStatus(replica="r1", lags="it loads")]})
        assert mark_of(young) == mark_of(old) != mark_of(away)

    asyncio.run(story())
