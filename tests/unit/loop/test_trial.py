"""The trial of a version in the loop: it begins, ends, is abandoned, and never holds up labelling."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.loop.world import World, make_spec
from tornio.loop.phase import Phase, standing
from tornio.schemas.loop import LoopState
from tornio.schemas.trial import TrialTerms
from tornio.spec import GateSpec

pytestmark = pytest.mark.unit

CANARY = {"canary": {"share": 0.1, "minutes": 30, "texts": 200}}


def turns(world: World, number: int) -> LoopState:
    for _ in range(number):
        world.turn()
    return world.state


def on_trial(gates: dict[str, Any] = CANARY, **loop: Any) -> World:
    """A world in which the second version has just gone on trial against the first."""
    world = World(spec=make_spec(gates=gates, **loop), pool=400)
    for _ in range(60):
        world.turn()
        if terms(world) is not None:
            return world
    raise AssertionError(world.state)


def terms(world: World) -> TrialTerms | None:
    candidate = world.aliases.get("candidate")
    return candidate.trial if candidate else None


def on_trial_version(world: World) -> str:
    assert world.state.swap is not None
    return world.state.swap.version


def end(world: World, minutes: float = 31) -> None:
    world.wait(60 * minutes)


def test_without_the_settings_nothing_is_tried() -> None:
    world = World()
    turns(world, 60)
    assert world.aliases["current"].revision > 2
    assert not world.trials


def test_the_first_version_has_nothing_to_be_compared_with() -> None:
    world = on_trial()
    assert world.aliases["current"].revision == 1
    assert world.iterations[1].against is None


def test_a_good_version_serves_after_its_trial_and_says_what_it_showed() -> None:
    world = on_trial()
    version = on_trial_version(world)
    shown = terms(world)
    assert shown is not None
    assert (shown.share, shown.shadow, shown.revision) == (0.1, False, 1)
    turns(world, 5)
    assert world.aliases["current"].version != version
    end(world)
    turns(world, 4)
    assert world.aliases["current"].version == version
    record = world.trials[version].trial
    assert record.verdict is not None
    assert record.verdict.promoted
    assert record.counts is not None
    assert record.counts.texts >= 300


def test_a_version_whose_texts_break_it_is_refused_at_once_and_what_serves_goes_on() -> None:
    world = on_trial()
    version, served = on_trial_version(world), world.aliases["current"]
    world.traffic(calls=1, errors=1, broken="NaN")
    turns(world, 3)
    verdict = world.trials[version].trial.verdict
    assert verdict is not None
    assert verdict.reasons == ("broken on live texts: NaN",)
    assert world.aliases["current"] == served
    assert terms(world) is None
    assert world.state.refusals == 1


def test_refusals_in_a_row_by_trials_ask_for_attention() -> None:
    world = on_trial()
    for _ in range(200):
        world.turn()
        world.traffic(broken="NaN")
        if "refusals" in world.state.attention:
            break
    assert "broken on live texts" in world.state.attention["refusals"]


def test_labelling_and_training_go_on_and_the_newest_good_version_comes_next() -> None:
    world = on_trial()
    first, batches = on_trial_version(world), len(world.batches)
    turns(world, 40)
    assert len(world.batches) > batches + 3
    assert on_trial_version(world) == first
    assert world.state.waiting is not None
    waiting = world.state.waiting
    assert first in world.plans[world.iterations[waiting.iteration].evaluate_run or ""].args["rivals"]
    end(world)
    for _ in range(4):
        world.turn()
    assert world.aliases["current"].version == first
    turns(world, 4)
    assert terms(world) is not None, "it is tried too"
    follower = on_trial_version(world)
    assert world.iterations[waiting.iteration].number <= max(
        number for number, one in world.iterations.items() if one.version == follower
    )
    end(world)
    turns(world, 4)
    assert world.aliases["current"].version == follower


def test_after_a_refusal_the_version_that_waited_is_tried() -> None:
    world = on_trial()
    first = on_trial_version(world)
    turns(world, 30)
    assert world.state.waiting is not None
    world.traffic(broken="NaN")
    turns(world, 6)
    assert on_trial_version(world) != first
    assert terms(world) is not None
    assert world.aliases["candidate"].version == on_trial_version(world)


def test_a_rollback_ends_the_trial_and_its_version_is_not_deployed() -> None:
    world = on_trial()
    end(world)
    turns(world, 4)
    served = world.aliases["current"].version
    while terms(world) is None:
        world.turn()
    tried = on_trial_version(world)
    current = world.aliases["current"]
    assert current.previous is not None
    world.state = world.state.evolve(asks=world.state.asks.evolve(hold="rolled back"))
    world.move("current", current.previous, current.revision, "ops", "rollback")
    turns(world, 3)
    assert terms(world) is None
    world.state = world.state.evolve(asks=world.state.asks.evolve(hold=None))
    turns(world, 2)
    assert "moved `current` meanwhile" in world.state.attention["swap"]
    assert world.aliases["current"].version not in (tried, served)


def test_a_pause_lets_the_trial_go_on_as_it_lets_a_version_be_deployed() -> None:
    world = on_trial()
    version = on_trial_version(world)
    world.state = world.state.evolve(asks=world.state.asks.evolve(paused=True))
    turns(world, 3)
    end(world)
    turns(world, 4)
    assert world.aliases["current"].version == version


def test_an_apply_that_switches_it_off_ends_the_trial_and_the_gate_s_decision_stands() -> None:
    world = on_trial()
    version = on_trial_version(world)
    world.spec = world.spec.model_copy(update={"gates": GateSpec()})
    turns(world, 4)
    assert world.aliases["current"].version == version
    verdict = world.trials[version].trial.verdict
    assert verdict is not None
    assert verdict.reasons == ("its trial was ended, because task.yaml wants none any longer",)


def test_an_apply_that_changes_the_share_changes_it_for_the_trial_that_runs() -> None:
    world = on_trial()
    before = terms(world)
    assert before is not None
    world.spec = world.spec.model_copy(update={"gates": GateSpec.model_validate({"shadow": True})})
    turns(world, 3)
    assert terms(world) == before.evolve(share=0.0, shadow=True)


def test_new_labels_end_the_trial_and_the_first_version_with_them_has_nothing_to_be_compared_with() -> None:
    world = on_trial()
    version, served = on_trial_version(world), world.aliases["current"].version
    world.change_labels()
    turns(world, 2)
    assert terms(world) is None
    while world.aliases["current"].revision == 1:
        world.turn()
    assert not world.trials
    assert world.aliases["current"].version not in (version, served)


def test_a_quiet_endpoint_holds_nothing_up_for_ever() -> None:
    world = on_trial()
    version = on_trial_version(world)
    world.counts.clear()
    world.traffic = lambda **counts: None  # type: ignore[method-assign]
    end(world)
    turns(world, 4)
    assert world.aliases["current"].version != version
    end(world, 30)
    turns(world, 4)
    assert world.aliases["current"].version == version
    verdict = world.trials[version].trial.verdict
    assert verdict is not None
    assert "only 0 of 200 live texts" in verdict.warnings[0]


def test_a_controller_that_has_heard_no_replica_yet_decides_nothing() -> None:
    world = on_trial()
    version, fleet = on_trial_version(world), world.fleet
    end(world, 100)
    world.fleet = ()
    turns(world, 5)
    assert version not in world.trials
    world.fleet = fleet
    turns(world, 4)
    assert world.aliases["current"].version == version


def test_the_phase_says_how_far_the_trial_is() -> None:
    world = on_trial(stop={"max_iterations": 2})
    turns(world, 30)
    world.wait(12 * 60)
    said = standing(world.state, world.look())
    assert said.phase is Phase.TRYING
    assert "of 30 minutes" in said.why
    assert "agreement 0.933" in said.why
