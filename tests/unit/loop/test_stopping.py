"""The loop with criteria that look at labels, the hold-out, and several at once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.loop.world import SIZE, World, make_spec
from tornio.loop.phase import Phase, standing
from tornio.schemas.loop import HoldoutLook
from tornio.schemas.task import GateVerdict

pytestmark = pytest.mark.unit


def turns(world: World, count: int = 60) -> World:
    for _ in range(count):
        world.turn()
    return world


def has_stopped(world: World) -> bool:
    return standing(world.state, world.look()).phase is Phase.STOPPED


def budget(labels: int) -> dict[str, Any]:
    return {"criterion": "budget", "settings": {"labels": labels}}


def test_a_budget_ends_the_task_and_only_a_new_spec_wakes_it() -> None:
    world = turns(World(spec=make_spec(stop=budget(2 * SIZE + 1))))
    assert has_stopped(world)
    assert len(world.batches) == 3
    world.pool_seq += 1
    turns(world)
    assert len(world.batches) == 3
    world.spec = make_spec(stop=budget(4 * SIZE))
    turns(world)
    assert len(world.batches) == 4


def test_a_target_is_reached_by_the_hold_out() -> None:
    pytest.importorskip("scipy")
    stop = {"criterion": "target-accuracy", "settings": {"accuracy": 0.9}}
    world = turns(World(spec=make_spec(stop=stop), holdout={"n": 40, "accuracy": 0.95}), 12)
    assert not has_stopped(world)
    world.holdout = {"n": 600, "accuracy": 0.95}
    turns(world)
    assert has_stopped(world)
    assert world.state.stop.holdout == HoldoutLook(iteration=len(world.iterations), right=570, labels=600)


def test_a_version_that_is_refused_reaches_no_target() -> None:
    stop = {"criterion": "target-accuracy", "settings": {"accuracy": 0.5}}
    world = World(spec=make_spec(stop=stop), pool=20, holdout={"n": 600, "accuracy": 0.95})
    worse = GateVerdict(promoted=False, integrity=True, reasons=("significantly worse",))
    for _ in range(100):
        world.turn()
        world.verdicts = {plan.args["version"]: worse for plan in world.plans.values() if plan.job == "evaluate"}
        for plan in world.plans.values():
            if plan.job == "train" and plan.run in world.results:
                world.verdicts[world.results[plan.run]["version"]] = worse
    assert world.state.stop.holdout is None
    assert len(world.batches) == 20 // SIZE


def test_signals_of_any_are_those_of_its_criteria() -> None:
    criteria = [{"criterion": "classification-change", "settings": {"threshold": 0.05}}, budget(1000)]
    stop = {"criterion": "any", "settings": {"criteria": criteria}}
    world = turns(World(spec=make_spec(stop=stop), signals={"classification-change": 0.01}))
    assert has_stopped(world)
    assert len(world.iterations) == 2


def test_a_switch_on_a_living_task_decides_from_what_was_measured_before() -> None:
    world = turns(World(spec=make_spec(stop={"criterion": "none"}), signals={"classification-change": 0.0}), 25)
    assert not has_stopped(world)
    world.spec = make_spec(stop={"criterion": "classification-change"})
    turns(world, 10)
    assert has_stopped(world)
    batches = len(world.batches)
    world.spec = make_spec(stop={"criterion": "none"})
    turns(world, 10)
    assert len(world.batches) > batches


def test_a_criterion_without_signals_waits() -> None:
    world = turns(World(pool=20, spec=make_spec(stop={"criterion": "overall-uncertainty"})), 100)
    assert not has_stopped(world)
    assert len(world.batches) == 20 // SIZE
