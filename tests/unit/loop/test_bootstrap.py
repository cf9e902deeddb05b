"""Version 0, which a teacher teaches before anybody has labelled: when it is made, and what is said of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.loop.test_first import said, step
from tests.unit.loop.world import START, World, make_spec
from tornio.loop import first, plans
from tornio.loop.acts import RecordIteration, StartRun, owed
from tornio.loop.phase import Phase, standing
from tornio.schemas.loop import Asks, OpenBatch
from tornio.spec import TaskSpec
from tornio.spec.loop import BOOTSTRAPS
from tornio.training.methods import METHODS

pytestmark = pytest.mark.unit
QUIET = first.QUIET.total_seconds()


def taught_world(**changes: Any) -> World:
    return World(spec=make_spec(bootstrap="teacher"), **changes)


def decide(world: World) -> None:
    world.decide(world.state, world.look())


def test_every_bootstrap_has_its_method() -> None:
    for method in BOOTSTRAPS.values():
        assert method is None or METHODS.get(method).name == method


def test_the_teacher_begins_when_the_pool_has_come_to_rest_and_no_batch_goes_out_before() -> None:
    world = taught_world()
    decide(world)
    assert (world.state.train, world.state.query) == (None, None)
    assert said(world).startswith("the teacher labels the pool as soon as no more texts arrive")
    assert standing(world.state, world.look()).phase is Phase.WAITING
    world.wait(QUIET - 1)
    world.fill(3)
    world.wait(2)
    assert world.decide(world.state, world.look())[0].train is None
    world.wait(QUIET)
    state, _ = world.decide(world.state, world.look())
    intent = state.train
    assert intent is not None
    assert (intent.iteration, intent.method, intent.batches) == (0, "distillation", ())
    assert said(world) == "the teacher labels the pool, and a first version learns from that"
    (act,) = owed(world.state, world.look())
    assert isinstance(act, StartRun)
    assert act.plan.args["method"] == "distillation"


def test_it_does_not_wait_for_ever_for_a_pool_that_keeps_growing() -> None:
    world = taught_world()
    while world.now < START + first.LONGEST:
        decide(world)
        assert world.state.train is None
        world.wait(5)
        world.fill(1)
    decide(world)
    assert world.state.train is not None


def test_version_0_serves_picks_the_first_batch_and_is_followed_by_version_1() -> None:
    world = taught_world()
    world.wait(QUIET)
    while not world.state.batches:
        step(world)
        world.load_candidate()
    assert world.aliases["current"].version.startswith("v0-")
    assert world.state.newest == world.aliases["current"].version
    assert [plan.args["version"] for plan in world.plans.values() if plan.job == "query"] == [world.state.newest]
    assert (world.state.iteration, world.state.taught, world.state.stop.last_version) == (0, True, None)
    assert world.iterations[0].number == 0
    world.turn()
    while world.state.iteration < 1:
        world.turn()
    assert world.state.train is None or world.state.train.method == ""
    assert [plan.args.get("method", "") for plan in world.plans.values() if plan.job == "train"] == ["distillation", ""]


def test_labels_that_come_first_are_trained_on_and_the_teacher_is_not_asked() -> None:
    world = taught_world()
    world.relabel(a=5, b=5)
    world.wait(QUIET)
    decide(world)
    assert world.state.train is not None
    assert world.state.train.iteration == 1
    while world.state.newest is None:
        step(world)
    assert not first.to_be_taught(world.state, world.look())


def test_labels_that_are_imported_after_version_0_train_at_once() -> None:
    world = taught_world()
    world.wait(QUIET)
    while not world.state.taught:
        step(world)
    world.relabel(a=5, b=5)
    world.wait(QUIET)
    while world.state.iteration == 0:
        step(world)
    assert world.state.train is not None


def fail_thrice(world: World) -> None:
    for _ in range(3):
        decide(world)
        for act in owed(world.state, world.look()):
            world.act(act)
        for run in list(world.running):
            world.fail(run, "all texts are alike")
        decide(world)
        world.wait(100)
    assert not any(isinstance(act, RecordIteration) for act in owed(world.state, world.look()))
    decide(world)


def test_where_the_teacher_fails_that_is_said_and_the_loop_goes_on_without_it() -> None:
    world = taught_world()
    world.wait(QUIET)
    fail_thrice(world)
    line = (
        "the teacher could not teach a first version: all texts are alike. The loop goes on without it; "
        "`tornio train-now` tries again"
    )
    assert world.state.attention == {"train": line}
    assert said(world) == line
    assert world.state.train is None
    assert world.state.query is not None
    assert world.state.query.version is None
    world.fill(20)
    world.wait(QUIET)
    decide(world)
    assert world.state.train is not None, "other texts may be better"


def test_where_the_cause_was_outside_the_task_train_now_lets_the_teacher_try_again() -> None:
    world = taught_world()
    world.wait(QUIET)
    for ask in (1, 2):
        fail_thrice(world)
        decide(world)
        assert world.state.train is None
        world.state = world.state.evolve(asks=Asks(train_now=ask))
        decide(world)
        intent = world.state.train
        assert intent is not None
        assert (intent.iteration, intent.method, intent.failure) == (0, "distillation", None)
        assert world.state.served_train_now == ask
        assert "labels" not in world.state.attention
    decide(world)
    assert world.state.train == intent, "the failures of before are not those of this try"
    for act in owed(world.state, world.look()):
        world.act(act)
    (run,) = [run for run in world.running if world.plans[run].job == "train"]
    world.finish(run)
    decide(world)
    assert world.state.gate is not None
    assert "train" not in world.state.attention


def test_attempts_that_a_runner_made_by_itself_are_not_counted_for_the_next_try() -> None:
    world = taught_world()
    world.wait(QUIET)
    fail_thrice(world)
    world.state = world.state.evolve(asks=Asks(train_now=1))
    for _ in range(2):
        decide(world)
    assert world.state.train is not None
    run = plans.train(world.state, world.spec, world.state.train).run
    for attempt in (4, 5, 9):
        world.failed[run] = (attempt, "no key")
        decide(world)
    state, _ = world.decide(world.state, world.look())
    assert state.train is None
    assert state.teaching_attempts == 9


def test_a_request_to_train_does_not_wait_for_the_pool_or_for_a_batch() -> None:
    world = taught_world()
    world.state = world.state.evolve(asks=Asks(train_now=1), batches=(OpenBatch(batch="b", opened_at=START),))
    decide(world)
    assert world.state.train is not None
    assert world.state.train.iteration == 0


def test_annotators_get_a_batch_although_texts_keep_coming_after_a_failure() -> None:
    world = taught_world()
    world.wait(first.LONGEST.total_seconds())
    for _ in range(3):
        decide(world)
        for act in owed(world.state, world.look()):
            world.act(act)
        for run in list(world.running):
            world.fail(run, "all texts are alike")
        world.fill(1)
        decide(world)
        world.wait(100)
    world.fill(1)
    decide(world)
    assert world.state.query is not None


@pytest.mark.parametrize(
    "changes",
    [{"loop": {"bootstrap": "none"}}, {"loop": {}}, {"teacher": {"kind": "none"}}, {"multi_label": True}],
)
def test_a_task_that_does_not_ask_or_cannot_be_taught_is_not(changes: dict[str, Any]) -> None:
    values = {"workspace": "w", "name": "t", "labels": ["a", "b"], "loop": {"bootstrap": "teacher"}, **changes}
    world = World(spec=TaskSpec.model_validate(values))
    world.wait(3600)
    decide(world)
    assert world.state.train is None
    assert world.state.query is not None


def test_a_task_that_serves_a_version_or_is_paused_is_not_taught() -> None:
    world = taught_world()
    world.wait(QUIET)
    world.state = world.state.evolve(asks=Asks(paused=True))
    decide(world)
    assert world.state.train is None
    world.state = world.state.evolve(asks=Asks())
    world.move("current", "v0003-abc", 0, "ops")
    assert not first.to_be_taught(world.state, world.look())
    assert not first.to_be_taught(world.state.evolve(iteration=2), world.look())
    assert timedelta(0) < first.QUIET < first.LONGEST


def test_a_version_0_that_was_judged_when_the_labels_changed_never_serves() -> None:
    world = taught_world()
    world.wait(QUIET)
    while 0 not in world.iterations:
        step(world)
    assert world.state.gate is not None
    judged = world.state.gate.version
    world.change_labels()
    served = set[str]()
    while len(served) < 2:
        world.turn()
        served |= {world.aliases["current"].version} if "current" in world.aliases else set()
    assert judged not in served
