"""What the annotation tool tells of itself wakes the tasks of a data set, and no more often than needed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from services.controller import keeper as module
from services.controller.keeper import ANSWERED_S, Keeper, Watched

pytestmark = pytest.mark.unit

TASKS = {
    ("acme", "support"): {"support", "support again"},
    ("acme", "mood"): {"mood"},
    ("other", "support"): {"support"},
}


class World:
    """A keeper of three tasks that nobody looks at, with a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))
        others: dict[str, Any] = {name: Mock(name=name) for name in ("store", "annotation", "runner", "fleet")}
        self.keeper = Keeper(holder="me", after_look=lambda _: None, **others)
        for name, datasets in TASKS.items():
            look: Any = SimpleNamespace(datasets=frozenset(datasets))
            self.keeper.watched[name] = Watched(name, last=look)

    def rung(self) -> list[tuple[str, str]]:
        """The tasks that would be looked at now. It ends their alarm."""
        return [name for name, watched in self.keeper.watched.items() if watched.alarm.wait(0)]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.mark.parametrize("dataset", ["support", "support again"])
def test_the_task_of_a_data_set_is_woken(world: World, dataset: str) -> None:
    world.keeper.answered("acme", dataset)
    assert world.rung() == [("acme", "support")]


@pytest.mark.parametrize(("workspace", "dataset"), [("acme", "else"), ("nowhere", "support"), ("", "")])
def test_a_data_set_of_no_task_wakes_nobody(world: World, workspace: str, dataset: str) -> None:
    world.keeper.answered(workspace, dataset)
    assert world.rung() == []
    assert not world.keeper._discover.wait(0), "and the tasks are not listed for it"


def test_a_task_that_was_not_looked_at_yet_is_left_to_its_first_look(world: World) -> None:
    world.keeper.watched["acme", "support"].last = None
    world.keeper.answered("acme", "support")
    assert world.rung() == []


def test_a_flood_causes_a_look_a_second(world: World) -> None:
    looks = 0
    for _ in range(1000):
        world.keeper.answered("acme", "support")
        looks += len(world.rung())
        world.now += ANSWERED_S / 100
    assert looks == 10
    world.keeper.answered("acme", "mood")
    assert world.rung() == [("acme", "mood")], "and the others are not held up"


def test_what_a_user_changes_is_not_held_up_by_a_flood(world: World) -> None:
    world.keeper.answered("acme", "support")
    world.rung()
    world.keeper.nudge(("acme", "support"))
    assert world.rung() == [("acme", "support")]
