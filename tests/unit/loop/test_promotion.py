"""A version that a user chose: it serves whatever is held or tried, once, and nothing newer follows until resume."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.loop.world import World, make_spec
from tornio.loop.acts import owed
from tornio.loop.observation import Replica
from tornio.schemas.loop import SwapIntent
from tornio.schemas.task import GateVerdict, Iteration

pytestmark = pytest.mark.unit

WORSE = GateVerdict(promoted=False, integrity=True, reasons=("worse",))


class Worse(dict[str, GateVerdict]):
    """The gate refuses every version."""

    def get(self, key: str, default: Any = None) -> Any:
        return WORSE


def of(world: World, version: str) -> Iteration:
    return next(one for one in world.iterations.values() if one.version == version)


def serving(world: World) -> str:
    return world.aliases["current"].version


def until(world: World, reached: Callable[[], bool]) -> None:
    for _ in range(60):
        if reached():
            return
        world.turn()
    raise AssertionError(world.state)


def world_with_versions(revisions: int = 3) -> World:
    world = World(pool=400)
    until(world, lambda: "current" in world.aliases and world.aliases["current"].revision >= revisions)
    return world


def test_an_older_version_serves_although_promotions_are_held_and_nothing_newer_follows() -> None:
    world = world_with_versions()
    first = world.iterations[1]
    world.choose(first, "ana")
    until(world, lambda: serving(world) == first.version)
    moved = world.aliases["current"]
    assert (moved.who, moved.cause) == ("ana", "manual")
    iterations = len(world.iterations)
    until(world, lambda: len(world.iterations) > iterations + 2)
    assert serving(world) == first.version
    assert world.state.swap is not None
    assert not world.state.swap.chosen_by
    world.state = world.state.evolve(asks=world.state.asks.evolve(hold=None))
    until(world, lambda: serving(world) != first.version)
    assert world.aliases["current"].cause == "promotion"


def test_a_version_that_the_gate_refused_serves_when_it_is_chosen() -> None:
    world = world_with_versions()
    world.verdicts = Worse()
    until(world, lambda: any(one.verdict == WORSE for one in world.iterations.values()))
    refused = next(one for one in world.iterations.values() if one.verdict == WORSE)
    assert serving(world) != refused.version
    world.choose(refused)
    until(world, lambda: serving(world) == refused.version)


def test_a_version_that_is_chosen_takes_the_place_of_one_on_trial() -> None:
    world = World(spec=make_spec(gates={"canary": {"share": 0.1, "minutes": 30, "texts": 200}}), pool=400)
    until(world, lambda: (found := world.aliases.get("candidate")) is not None and found.trial is not None)
    tried = world.aliases["candidate"].version
    until(world, lambda: any(one.version not in (tried, serving(world)) for one in world.iterations.values()))
    chosen = next(one for one in world.iterations.values() if one.version not in (tried, serving(world)))
    world.choose(chosen)
    until(world, lambda: serving(world) == chosen.version)
    assert world.aliases["candidate"].trial is None
    assert tried not in world.trials


def test_the_last_choice_counts() -> None:
    world = world_with_versions(4)
    world.choose(world.iterations[1], "ana")
    world.decide(world.state, world.look())
    world.choose(world.iterations[2], "ben")
    until(world, lambda: world.state.swap is None and world.state.asks.promote is None)
    assert serving(world) == world.iterations[2].version
    assert world.aliases["current"].who == "ben"


def test_choosing_what_serves_only_ends_what_was_to_follow() -> None:
    world = world_with_versions()
    until(world, lambda: world.state.swap is not None)
    present = world.aliases["current"]
    world.choose(of(world, present.version))
    state, _ = world.decide(world.state, world.look())
    assert (state.swap, state.waiting, state.asks.promote) == (None, None, None)
    assert world.aliases["current"] == present


def test_every_act_may_be_done_twice_and_the_controller_killed_after_each() -> None:
    world = world_with_versions()
    first = world.iterations[1]
    revision = world.aliases["current"].revision
    world.choose(first)
    for _ in range(8):
        world.decide(world.state, world.look())
        for act in owed(world.state, world.look())[:1]:  # it is killed before the second
            world.act(act)
            world.act(act)
        world.load_candidate()
    assert serving(world) == first.version
    assert world.aliases["current"].revision == revision + 1
    assert world.state.swap is None


def test_a_promotion_that_was_under_way_does_not_undo_the_choice() -> None:
    """The loop's own move of `current` arrives after the choice."""
    world = world_with_versions()
    until(world, lambda: world.state.swap is not None)
    swap = world.state.swap
    assert swap is not None
    first = world.iterations[1]
    world.choose(first)
    world.decide(world.state, world.look())
    world.move("current", swap.version, swap.current_revision, "controller")
    assert serving(world) == swap.version
    until(world, lambda: serving(world) == first.version)


def test_a_rollback_after_the_choice_counts() -> None:
    world = world_with_versions(4)
    before = world.aliases["current"]
    world.choose(world.iterations[1])
    world.decide(world.state, world.look())
    assert before.previous not in (None, world.iterations[1].version)
    assert before.previous is not None
    world.move("current", before.previous, before.revision, "ben", "rollback")
    world.turn()
    assert serving(world) == before.previous
    assert world.state.swap is None
    assert "ben moved `current` meanwhile" in world.state.attention["swap"]


def test_a_version_with_labels_of_before_does_not_serve() -> None:
    world = world_with_versions()
    present = serving(world)
    world.choose(world.iterations[1], "ana")
    world.change_labels()
    world.decide(world.state, world.look())
    assert world.state.swap is None
    assert "which ana chose, does not serve: the labels of the task changed" in world.state.attention["swap"]
    assert serving(world) == present


def test_a_version_that_no_replica_can_load_is_given_up_and_told() -> None:
    world = world_with_versions()
    first = world.iterations[1]
    assert first.version is not None
    world.choose(first)
    world.fleet = (Replica("r1", failed={first.version: "the file is broken"}),)
    world.decide(world.state, world.look())
    state, _ = world.decide(world.state, world.look())
    assert state.swap is None
    assert "no replica can load" in state.attention["swap"]
    assert state.refusals == 0


def test_an_intent_without_a_choice_is_written_as_before() -> None:
    assert "chosen_by" not in SwapIntent(
        version="v", iteration=1, current_revision=1, why="", since=World().now
    ).model_dump(mode="json")
