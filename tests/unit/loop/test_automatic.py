"""Automatic labels in the loop, told as stories."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.loop.world import SIZE, World, make_spec
from tornio.loop.acts import StartRun, owed
from tornio.loop.automatic import over, withdrawn_of
from tornio.loop.phase import Phase, standing

pytestmark = pytest.mark.unit
BOUNDED: dict[str, Any] = {"target_error": 0.05}
TRAINING: dict[str, Any] = {"target_error": 0.05, "train": True}


def make_world(auto_label: dict[str, Any] = BOUNDED, **loop: Any) -> World:
    return World(spec=make_spec(auto_label, **loop))


def stands(world: World) -> set[str]:
    return {version for (version, _), yes in world.automatic.items() if yes}


def current(world: World) -> str:
    serving = world.aliases.get("current")
    return serving.version if serving else ""


def until_labelled(world: World, iterations: int = 1) -> World:
    """Turn until this many versions were made, and the last one has labelled; annotators then have nothing to do."""
    for _ in range(40 * iterations):
        world.turn()
        newest = world.iterations[max(world.iterations)].version if world.iterations else None
        if len(world.iterations) >= iterations and current(world) == newest and stands(world) == {newest}:
            return world
    raise AssertionError(f"no labels: {world.state}")


def paused(world: World) -> World:
    world.state = world.state.evolve(asks=world.state.asks.evolve(paused=True))
    return world


def rest(world: World, turns: int = 12) -> World:
    """Let things end, without new batches or trainings."""
    paused(world)
    for _ in range(turns):
        world.turn()
    world.state = world.state.evolve(asks=world.state.asks.evolve(paused=False))
    return world


def roll_back(world: World) -> None:
    present = world.aliases["current"]
    assert present.previous is not None
    world.state = world.state.evolve(asks=world.state.asks.evolve(hold="rolled back"))
    world.move("current", present.previous, present.revision, "ops", "rollback")


def test_the_version_that_serves_labels_and_the_next_one_takes_over() -> None:
    world = until_labelled(make_world())
    first = current(world)
    until_labelled(world, 2)
    assert current(world) != first
    assert stands(world) == {current(world)}
    assert not world.state.auto.withdrawn  # to be replaced is no fault


def test_the_labels_themselves_start_no_training_and_wake_no_stopped_task() -> None:
    world = make_world(stop={"max_iterations": 2})
    for _ in range(60):
        world.turn()
    assert standing(world.state, world.look()).phase is Phase.STOPPED
    assert len(world.iterations) == 2
    assert world.state.repeats == 0
    assert stands(world) == {current(world)}
    before = world.label_seq
    for _ in range(20):
        world.wait(60)
        world.turn()
    assert (world.label_seq, len(world.iterations)) == (before, 2)


def test_with_too_few_holdout_labels_nothing_is_predicted() -> None:
    world = make_world()
    world.holdout_labels = 44
    for _ in range(30):
        world.turn()
    assert "auto-label" not in {plan.job for plan in world.plans.values()}
    world.holdout_labels = 45
    until_labelled(world)


def test_a_rollback_withdraws_and_going_back_and_forth_changes_nothing_twice() -> None:
    world = until_labelled(until_labelled(make_world()), 2)
    first, second = world.iterations[1].version, world.iterations[2].version
    assert first is not None
    assert second is not None
    roll_back(world)
    rest(world)
    assert stands(world) == set()
    assert set(world.state.auto.withdrawn) == {second}
    log = dict(world.automatic)
    for version in (second, first, second, first):
        present = world.aliases["current"]
        world.move("current", version, present.revision, "ops", "rollback" if version == first else "manual")
        rest(world)
        assert world.automatic == log
    assert set(world.state.auto.withdrawn) == {second}


def test_a_version_that_was_rolled_back_before_it_labelled_anything_leaves_the_labels_that_stand() -> None:
    world = until_labelled(make_world())
    first = current(world)
    for _ in range(30):
        state, _ = world.decide(world.state, world.look())
        for act in owed(state, world.look()):
            world.act(act)
        for run in [run for run in world.running if not run.startswith("auto-label")]:
            world.finish(run)
        world.load_candidate()
        for batch in world.logged:
            world.answer(batch, SIZE)
        if current(world) != first:
            break
    roll_back(world)
    rest(world)
    assert (current(world), stands(world)) == (first, {first})


def test_labels_that_lose_their_bound_are_withdrawn_for_good() -> None:
    world = until_labelled(make_world(stop={"max_iterations": 1}))
    version = current(world)
    world.passing[version] = False
    world.holdout_labels = 109
    for _ in range(5):
        world.turn()
    assert stands(world) == {version}  # not a tenth more labels yet
    world.holdout_labels = 110
    for _ in range(5):
        world.turn()
    assert not stands(world)
    assert "lost their bound with 110" in world.state.auto.withdrawn[version].why
    world.passing[version] = True
    world.holdout_labels = 1000
    for _ in range(5):
        world.turn()
    assert not stands(world)


def test_a_version_that_learned_from_labels_that_were_withdrawn_is_not_promoted_and_the_loop_trains_anew() -> None:
    world = until_labelled(make_world(TRAINING))
    for _ in range(80):  # until a version that learns from the labels of another is judged
        state, _ = world.decide(world.state, world.look())
        for act in owed(state, world.look()):
            world.act(act)
        for run in list(world.running):
            gate = world.state.gate
            if not (run.startswith("evaluate") and gate and set(gate.train.automatic) & stands(world)):
                world.finish(run)
        world.load_candidate()
        for batch in list(world.logged) if stands(world) == {current(world)} else []:
            world.answer(batch, SIZE)
        world.wait(1)
        if world.state.gate and set(world.state.gate.train.automatic) & stands(world):
            break
    gate = world.state.gate
    assert gate is not None
    (taught,) = gate.train.automatic
    assert taught in world.state.promoted
    trained = gate.train.iteration
    world.spec = make_spec()  # the user wants none any more: the labels are withdrawn
    for _ in range(12):
        world.turn()
    assert gate.version not in {current(world), *world.state.promoted}
    told = withdrawn_of(world.state, world.iterations[trained].automatic, world.iterations[trained].label_seq)
    assert told is not None
    assert taught in told
    assert world.iterations[trained + 1].automatic == ()
    assert current(world) in {one.version for number, one in world.iterations.items() if number > trained}


def test_a_version_that_loses_the_bound_of_one_label_keeps_teaching_with_the_others() -> None:
    """What is trained after that is promoted; what was trained before is not."""
    world = until_labelled(make_world({**TRAINING, "per_class": True}, stop={"max_iterations": 1}))
    version = current(world)
    world.passing_labels = ("a",)
    world.holdout_labels = 110
    for _ in range(5):
        world.turn()
    assert [name for (_, name), yes in sorted(world.automatic.items()) if yes] == ["r0", "r2"]
    assert version in world.state.auto.withdrawn
    assert not world.state.auto.retrain  # nothing was trained on them
    for number in (2, 3):
        asks = world.state.asks
        world.state = world.state.evolve(asks=asks.evolve(train_now=asks.train_now + 1, forced=asks.train_now + 1))
        until_labelled(world, number)
    assert world.iterations[2].automatic == (version,)
    assert current(world) == world.iterations[3].version


def test_a_version_that_lost_some_labels_loses_the_others_in_a_rollback() -> None:
    world = make_world({**BOUNDED, "per_class": True}, stop={"max_iterations": 2})
    until_labelled(world, 2)
    gone = current(world)
    world.passing_labels = ("a",)
    world.holdout_labels = 200
    for _ in range(5):
        world.turn()
    assert gone in world.state.auto.withdrawn
    assert stands(world) == {gone}
    roll_back(world)
    paused(world)
    for _ in range(4):
        world.turn()
    assert gone not in stands(world)


def test_switching_them_off_withdraws_all() -> None:
    world = until_labelled(make_world())
    version = current(world)
    world.spec = make_spec()
    rest(world)
    assert not stands(world)
    world.spec = make_spec(BOUNDED)
    rest(world)
    assert not stands(world)
    assert version in world.state.auto.withdrawn
    until_labelled(world, len(world.iterations) + 1)


def test_a_labelling_that_fails_is_tried_again_and_then_told() -> None:
    world = make_world()
    for _ in range(300):
        state, _ = world.decide(world.state, world.look())
        for act in owed(state, world.look()):
            world.act(act)
        for run in list(world.running):
            if run.startswith("auto-label"):
                world.fail(run)
            else:
                world.finish(run)
        world.load_candidate()
        if world.aliases.get("current") is None:
            for batch in list(world.logged):
                world.answer(batch, SIZE)
        world.wait(60)
        if "automatic" in world.state.attention:
            break
    assert "failed: boom" in world.state.attention["automatic"]
    assert world.state.auto.done is not None
    assert world.state.auto.done.attempt == 3


def test_a_controller_that_slept_withdraws_nothing_of_a_version_that_serves() -> None:
    world = until_labelled(make_world())
    old = world.state
    until_labelled(world, 2)
    assert over(old, world.look()) in {(), (old.auto.done.version if old.auto.done else "",)}


def test_a_run_that_is_under_way_is_not_started_twice() -> None:
    world = until_labelled(make_world())
    runs = [plan.run for plan in world.plans.values() if plan.job == "auto-label"]
    assert len(runs) == 1
    acts = owed(world.state, world.look())
    assert not [act for act in acts if isinstance(act, StartRun) and act.plan.run in runs]
