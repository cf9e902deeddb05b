"""Versions that requests name: bounded, loaded once, and never in place of those that aliases name."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from services.classifier import by_name
from services.classifier.by_name import ByName
from services.classifier.shelf import Loaded
from tests.unit.classifier.test_follow import TASK, House, in_house
from tornio.errors import NotFound, Unavailable, UnfitCheckpoint

pytestmark = pytest.mark.unit


class Older:
    """Loads versions of 10 bytes beside a house's shelf. ``gate``: loading waits for it."""

    def __init__(self, house: House, room: int = 20, wait_s: float = 20) -> None:
        self.loaded: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.faults: dict[str, Exception] = {}
        self.by_name = ByName(house.shelf, house.follower, self.load, room, wait_s)

    def load(self, task: str, version: str) -> Loaded[str]:
        self.gate.wait(20)
        if version in self.faults:
            raise self.faults[version]
        self.loaded.append(version)
        return Loaded(f"{task}:{version}", 10)

    async def ask(self, *names: str) -> list[tuple[str, int]]:
        answers = [await self.by_name.require(TASK, name) for name in names]
        assert all(one.model == f"{TASK}:{one.version}" for one in answers)
        return [(one.version, one.revision) for one in answers]


def two_serving(house: House) -> None:
    house.put("current", "v2", 2, "v1")


def check(test: Callable[[House, Older], Coroutine[Any, Any, None]], room: int = 20, wait_s: float = 20) -> None:
    async def run(house: House) -> None:
        await house.until(lambda: "v1" in house.shelf.report()[TASK].ready)
        older = Older(house, room, wait_s)
        try:
            await test(house, older)
        finally:
            older.gate.set()
            older.by_name.close()
        assert house.serves() == ("v2", 2)
        assert house.shelf.report()[TASK].ready == ("v1", "v2")

    in_house(run, two_serving)


def test_what_the_shelf_holds_is_not_loaded_again() -> None:
    async def test(house: House, older: Older) -> None:
        assert await older.ask("v2", "previous", "v1") == [("v2", 2), ("v1", 0), ("v1", 0)]
        assert older.loaded == []

    check(test)


def test_the_version_that_was_asked_for_least_recently_makes_room() -> None:
    async def test(house: House, older: Older) -> None:
        assert await older.ask("v3", "v4", "v3", "v5") == [("v3", 0), ("v4", 0), ("v3", 0), ("v5", 0)]
        assert older.loaded == ["v3", "v4", "v5"]
        await older.ask("v3", "v5", "v4")
        assert older.loaded == ["v3", "v4", "v5", "v4"]

    check(test)


def test_one_version_may_exceed_the_room_alone() -> None:
    async def test(house: House, older: Older) -> None:
        await older.ask("v3", "v3", "v4", "v4")
        assert older.loaded == ["v3", "v4"]

    check(test, room=0)


def test_requests_that_come_together_share_one_loading() -> None:
    async def test(house: House, older: Older) -> None:
        older.gate.clear()
        asked = [asyncio.create_task(older.ask("v3")) for _ in range(5)]
        await asyncio.sleep(0)
        older.gate.set()
        assert await asyncio.gather(*asked) == [[("v3", 0)]] * 5
        assert older.loaded == ["v3"]

    check(test)


def test_a_version_that_takes_long_is_there_when_one_asks_again() -> None:
    async def test(house: House, older: Older) -> None:
        older.gate.clear()
        with pytest.raises(Unavailable, match="v3 is being loaded"):
            await older.ask("v3")
        older.gate.set()
        await house.until(lambda: older.loaded == ["v3"])
        await older.ask("v3")
        assert older.loaded == ["v3"]

    check(test, wait_s=0.01)


def test_a_fault_is_told_and_tried_again() -> None:
    async def test(house: House, older: Older) -> None:
        older.faults["v3"] = UnfitCheckpoint("probe 1 gave NaN")
        with pytest.raises(UnfitCheckpoint, match="NaN"):
            await older.ask("v3")
        older.faults["v3"] = NotFound("no such object")
        with pytest.raises(NotFound, match=f"{TASK} has no version v3"):
            await older.ask("v3")
        older.faults.clear()
        assert await older.ask("v3") == [("v3", 0)]

    check(test)


def test_a_flood_of_names_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_name, "MOST_LOADING", 2)

    async def test(house: House, older: Older) -> None:
        older.gate.clear()
        waiting = [asyncio.create_task(older.ask(name)) for name in ("v3", "v4")]
        await house.until(lambda: len(older.by_name._loading) == 2)
        with pytest.raises(Unavailable, match="too many versions"):
            await older.ask("v5")
        older.gate.set()
        await asyncio.gather(*waiting)

    check(test)


def test_unload_drops_what_was_loaded_by_name_alone() -> None:
    async def test(house: House, older: Older) -> None:
        await older.ask("v3", "v1")
        await older.by_name.unload(TASK)
        assert await older.ask("v3", "previous") == [("v3", 0), ("v1", 0)]
        assert older.loaded == ["v3", "v3"]
        for act in (older.by_name.unload("support/none"), older.by_name.require("support/none", "v1")):
            with pytest.raises(NotFound, match="support/none"):
                await act

    check(test)


def test_there_may_be_no_previous_version() -> None:
    async def test(house: House) -> None:
        older = Older(house)
        with pytest.raises(NotFound, match="before the one that serves"):
            await older.ask("previous")
        older.by_name.close()

    in_house(test, lambda house: house.put("current", "v1", 1))
