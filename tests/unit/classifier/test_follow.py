"""Following the aliases while controller and store come and go. Waits are for conditions, never for a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest

from services.classifier.follow import Follower, Pace
from services.classifier.shelf import Loaded, Shelf
from services.messages import Aliases, AliasUpdate, Heartbeat
from tornio.errors import NotFound, NotServable, Unavailable, UnfitCheckpoint
from tornio.schemas.keys import TaskKeys
from tornio.schemas.registry import Alias
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit

TASK = "support/tickets"
FAST = Pace(
    watch=5,
    heartbeat=0.01,
    again=0.01,
    patience=0.5,
    slow_poll=600,
    slowest_poll=600,
    fast_poll=0.01,
    look_up=600,
    new_task=5,
)
"""The slow poll never comes by itself: what these tests see, they see for another reason."""


class Controller:
    """Answers watches as told; ``away`` makes it raise, ``silent`` makes it hang."""

    def __init__(self) -> None:
        self.token = 0
        self.tasks: dict[str, Aliases] = {}
        self.reports: list[Heartbeat] = []
        self.tokens: list[str | None] = []
        self.away = False
        self.silent = False

    def post(
        self, task: str, current: tuple[str, int], previous: str | None = None, candidate: str | None = None
    ) -> None:
        self.tasks = {**self.tasks, task: Aliases(current, previous, candidate)}
        self.token += 1

    async def watch(self, token: str | None, timeout_s: float) -> AliasUpdate:
        await self._reach()
        self.tokens.append(token)
        while token == str(self.token):
            await asyncio.sleep(0.005)
            await self._reach()
        return AliasUpdate(str(self.token), self.tasks)

    async def report(self, replica_id: str, heartbeat: Heartbeat) -> None:
        await self._reach()
        self.reports.append(heartbeat)

    async def _reach(self) -> None:
        if self.silent:
            await asyncio.sleep(3600)
        if self.away:
            raise ConnectionError("the controller's actor has died")


class House:
    """A follower with everything around it."""

    def __init__(self) -> None:
        self.store = MemoryStore(before=self._before)
        self.store_away = False
        self.reads = 0
        self.refused = 0
        self.faults: dict[str, Exception] = {}
        self.shelf = Shelf[str](self._load, lambda: 0.0)
        self.controller = Controller()
        self.follower = Follower(self.shelf, self.store, self.controller, "r1", FAST)

    def put(self, alias: str, version: str, revision: int, previous: str | None = None, task: str = TASK) -> None:
        """Move an alias in the store."""
        workspace, _, name = task.partition("/")
        keys = TaskKeys(workspace, name)
        document = Alias(
            alias=alias,
            version=version,
            revision=revision,
            previous=previous,
            who="test",
            why="test",
            moved_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        self.store.put(keys.document, b"{}")
        self.store.put(keys.alias(alias), document.encode())

    def serves(self, task: str = TASK) -> tuple[str, int] | None:
        try:
            serving = self.shelf.serving(task)
        except (NotFound, NotServable, Unavailable):
            return None
        return serving.version, serving.revision

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.005)

    def _before(self, operation: str, key: str) -> None:
        self.reads += operation in ("get_if_changed", "head")
        if self.store_away:
            self.refused += 1
            raise Unavailable("the object store is away")

    def _load(self, task: str, version: str) -> Loaded[str]:
        if version in self.faults:
            raise self.faults[version]
        return Loaded(f"{task}:{version}", 10)


def in_house(test: Callable[[House], Coroutine[Any, Any, None]], prepare: Callable[[House], None]) -> None:
    async def run() -> None:
        house = House()
        prepare(house)
        await house.follower.start(deadline_s=20)
        try:
            await test(house)
            house.follower.check()
        finally:
            await house.follower.stop()

    asyncio.run(run())


def serving_v1(house: House) -> None:
    house.put("current", "v1", 1)


def test_a_replica_is_ready_when_it_serves_what_the_store_names() -> None:
    async def test(house: House) -> None:
        assert house.serves() == ("v1", 1)

    in_house(test, serving_v1)


def test_it_follows_the_controllers_word_and_reports_at_once() -> None:
    async def test(house: House) -> None:
        house.controller.post(TASK, ("v1", 1), candidate="v2")
        await house.until(lambda: any("v2" in r[TASK].ready for r in house.controller.reports))
        assert house.serves() == ("v1", 1)
        house.controller.post(TASK, ("v2", 2), "v1", "v2")
        await house.until(lambda: house.controller.reports[-1][TASK].serving == ("v2", 2))

    in_house(test, serving_v1)


def test_a_candidate_that_cannot_load_is_reported_with_its_reason() -> None:
    async def test(house: House) -> None:
        house.faults["v2"] = UnfitCheckpoint("probe 1 gave NaN")
        house.controller.post(TASK, ("v1", 1), candidate="v2")
        await house.until(lambda: house.controller.reports[-1][TASK].failed == {"v2": "probe 1 gave NaN"})
        assert house.serves() == ("v1", 1)

    in_house(test, serving_v1)


@pytest.mark.parametrize("how", ["away", "silent"])
def test_without_the_controller_it_follows_the_store(how: str) -> None:
    async def test(house: House) -> None:
        await house.until(lambda: bool(house.controller.reports))
        setattr(house.controller, how, True)
        house.put("current", "v2", 2, "v1")
        await house.until(lambda: house.serves() == ("v2", 2))

    in_house(test, serving_v1)


def test_a_controller_that_starts_again_is_greeted_without_a_token_and_takes_nothing_away() -> None:
    async def test(house: House) -> None:
        house.controller.post(TASK, ("v2", 2), "v1")
        await house.until(lambda: house.serves() == ("v2", 2))
        house.controller.away = True
        await house.until(lambda: house.reads > 20)
        house.controller.tasks, house.controller.token = {}, 0
        house.controller.tokens.clear()
        heartbeats = len(house.controller.reports)
        house.controller.away = False
        await house.until(lambda: len(house.controller.reports) > heartbeats and bool(house.controller.tokens))
        assert house.controller.tokens[0] is None
        assert house.serves() == ("v2", 2)

    def prepare(house: House) -> None:
        house.put("current", "v2", 2, "v1")

    in_house(test, prepare)


def test_without_controller_and_store_it_goes_on_and_catches_up_later() -> None:
    async def test(house: House) -> None:
        house.controller.away = house.store_away = True
        await house.until(lambda: house.refused > 5)
        assert house.serves() == ("v1", 1)
        house.follower.check()
        house.store_away = False
        house.put("current", "v2", 2, "v1")
        await house.until(lambda: house.serves() == ("v2", 2))

    in_house(test, serving_v1)


def test_a_start_waits_for_a_store_that_is_away() -> None:
    async def run() -> None:
        house = House()
        house.store_away = True
        starting = asyncio.create_task(house.follower.start(20))
        await house.until(lambda: house.refused >= 3)
        assert not starting.done()
        house.store_away = False
        house.put("current", "v1", 1)
        await starting
        await house.until(lambda: house.serves() == ("v1", 1))
        await house.follower.stop()

    asyncio.run(run())


def test_a_start_is_not_held_up_by_a_task_that_cannot_load() -> None:
    async def test(house: House) -> None:
        assert house.serves("support/broken") is None
        assert house.serves() == ("v1", 1)
        with pytest.raises(Unavailable, match="truncated"):
            await house.follower.require("support/broken")

    def prepare(house: House) -> None:
        house.faults["b1"] = UnfitCheckpoint("truncated")
        house.put("current", "b1", 1, task="support/broken")
        house.put("current", "v1", 1)

    in_house(test, prepare)


def test_a_request_for_an_unknown_task_asks_the_store_once() -> None:
    async def test(house: House) -> None:
        house.put("current", "n1", 1, task="support/new")
        both = await asyncio.gather(*(house.follower.require("support/new") for _ in range(5)))
        assert {serving.version for serving in both} == {"n1"}
        reads = house.reads
        for _ in range(3):
            with pytest.raises(NotFound, match="support/none"):
                await house.follower.require("support/none")
        assert house.reads == reads + 3  # current, candidate, task.json

    in_house(test, serving_v1)


def test_made_up_names_do_not_flood_the_store() -> None:
    async def test(house: House) -> None:
        reads = house.reads
        names = [f"support/n{i}" for i in range(200)]
        errors = await asyncio.gather(*(house.follower.require(name) for name in names), return_exceptions=True)
        assert {type(error) for error in errors} == {NotFound, Unavailable}
        assert house.reads - reads <= 60

    in_house(test, serving_v1)


def test_a_dead_background_task_shows_in_the_health_check() -> None:
    async def run() -> None:
        house = House()
        serving_v1(house)
        await house.follower.start(20)
        house.follower._tasks[0].cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="has died"):
            house.follower.check()
        await house.follower.stop()

    asyncio.run(run())


def test_asking_for_a_task_loads_it_without_waiting() -> None:
    async def test(house: House) -> None:
        assert (await house.follower.ask(TASK)).version == "v1"
        house.put("current", "v7", 1, task="support/late")
        gate, load = threading.Event(), house.shelf._load

        def slowly(task: str, version: str) -> Loaded[str]:
            gate.wait(20)
            return load(task, version)

        house.shelf._load = slowly
        with pytest.raises(Unavailable, match="being loaded"):
            await house.follower.ask("support/late")
        gate.set()
        await house.until(lambda: house.serves("support/late") == ("v7", 1))
        assert (await house.follower.ask("support/late")).version == "v7"
        with pytest.raises(NotFound):
            await house.follower.ask("support/none")

    in_house(test, serving_v1)
