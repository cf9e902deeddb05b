"""The loop, told as stories."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.loop.world import SIZE, START, World, make_spec
from tornio.loop.acts import LogBatch, MoveAlias, StartRun, WriteBatch, owed
from tornio.loop.advance import RIVALS
from tornio.loop.observation import Replica
from tornio.loop.phase import Phase, standing
from tornio.loop.standstill import replicas_agree, stopped
from tornio.schemas.loop import Asks, LoopState, SwapIntent
from tornio.schemas.task import GateVerdict

BROKEN = GateVerdict(promoted=False, integrity=False, reasons=("digest of head.safetensors is wrong",))
WORSE = GateVerdict(promoted=False, integrity=True, reasons=("significantly worse",))


def turns(world: World, count: int) -> World:
    for _ in range(count):
        world.turn()
    return world


def test_a_batch_is_announced_before_it_is_picked_written_before_it_is_sent() -> None:
    world = World()
    state, _ = world.decide(world.state, world.look())
    assert state.query is not None
    kinds = []
    for _ in range(3):
        (act,) = owed(world.state, world.look())
        kinds.append(type(act))
        world.act(act)
        for run in list(world.running):
            world.finish(run)
    assert kinds == [StartRun, WriteBatch, LogBatch]


def test_the_loop_turns_until_every_text_was_asked() -> None:
    world = turns(World(pool=20), 100)
    assert len(world.batches) == 20 // SIZE
    assert [i.number for i in world.iterations.values()] == list(range(1, 6))
    assert world.aliases["current"].version == world.iterations[5].version
    assert standing(world.state, world.look()).phase is Phase.WAITING


def test_it_stops_when_predictions_hardly_change_and_new_texts_wake_it() -> None:
    world = World(spec=make_spec(stop={"window": 2}), agreement=1.0)
    turns(world, 60)
    assert standing(world.state, world.look()).phase is Phase.STOPPED
    assert len(world.iterations) == 3
    world.pool_seq += 1
    turns(world, 20)
    assert len(world.iterations) > 3


def test_imported_labels_train_before_a_first_batch_is_picked() -> None:
    world = World(imported={"a": 3, "b": 3})
    state, _ = world.decide(world.state, world.look())
    assert (state.train, state.query) == (None, None)
    assert "labels are being imported" in standing(state, world.look()).why
    world.wait(60)
    state, _ = world.decide(world.state, world.look())
    assert state.train is not None
    assert state.query is None


def test_a_swap_waits_for_the_replicas_that_hold_the_task_and_for_no_other() -> None:
    swap = SwapIntent(version="v1", iteration=1, current_revision=0, why="", since=START)
    looking, asleep = Replica("r1"), Replica("r2", asleep=True)
    ready = Replica("r1", frozenset({"v1"}))
    fleets: list[tuple[tuple[Replica, ...], bool]] = [
        ((), False),
        ((looking, asleep), False),
        ((ready, asleep), True),
        ((asleep,), False),
    ]
    for fleet, agree in fleets:
        assert replicas_agree(swap, World(fleet=fleet).look()) is agree


def test_a_pool_without_texts_waits_and_says_for_what() -> None:
    world = turns(World(pool=0, pool_seq=0), 5)
    said = standing(world.state, world.look())
    assert said.phase is Phase.WAITING
    assert "tornio pool add" in said.why


def test_a_query_that_failed_is_named_until_its_next_try() -> None:
    state = LoopState(query_failures=1, query_not_before=START + timedelta(seconds=3))
    said = standing(state, World().look())
    assert said.phase is Phase.WAITING
    assert said.why == "picking the next batch failed; the next try is at 00:00:03 UTC"


def test_trainings_without_new_labels_say_nothing_about_stopping() -> None:
    world = turns(World(spec=make_spec(stop={"window": 2}), agreement=1.0), 10)
    signals = len(world.state.stop.signals)
    for ask in range(1, 4):
        world.state = world.state.evolve(asks=Asks(train_now=ask, forced=ask, paused=True))
        label_seq = world.label_seq
        world.state = world.state.evolve(asks=Asks(train_now=ask, forced=ask))
        while world.state.served_train_now < ask or world.state.train or world.state.gate:
            for act in owed(world.decide(world.state, world.look())[0], world.look()):
                world.act(act)
            for run in list(world.running):
                world.finish(run)
        assert world.label_seq == label_seq
    assert len(world.state.stop.signals) <= signals + 1


def test_silence_closes_no_batch_and_asks_for_attention() -> None:
    world = World(spec=make_spec(close_after_hours=1))
    while not world.state.batches:
        for act in owed(world.decide(world.state, world.look())[0], world.look()):
            world.act(act)
        for run in list(world.running):
            world.finish(run)
    world.wait(3 * 3600)
    world.decide(world.state, world.look())
    assert not world.state.batches[0].closed
    assert "nobody has answered" in standing(world.state, world.look()).why
    world.answer(world.state.batches[0].batch)
    world.decide(world.state, world.look())
    assert not world.state.attention
    assert world.state.train is not None or world.state.untrained


def test_labels_that_come_when_every_text_was_asked_are_trained_on() -> None:
    world = turns(World(pool=8), 60)
    trained = len(world.iterations)
    world.relabel(a=100)
    turns(world, 30)
    assert len(world.iterations) == trained + 1
    assert world.state.trained_label_seq == world.label_seq


def test_texts_and_answers_that_come_during_the_last_training_are_not_forgotten() -> None:
    world = World(spec=make_spec(stop={"window": 2}), agreement=1.0)
    while not (len(world.state.stop.signals) == 1 and world.state.gate):
        world.turn()
    world.pool_seq += 1
    world.relabel()
    turns(world, 60)
    assert world.state.trained_pool_seq == world.pool_seq
    assert world.state.trained_label_seq == world.label_seq


def test_a_used_up_budget_of_iterations_is_kept_until_the_spec_grants_more() -> None:
    world = turns(World(spec=make_spec(stop={"max_iterations": 2})), 60)
    for _ in range(5):
        world.relabel()
        turns(world, 15)
    assert len(world.iterations) == 2
    world.spec = make_spec(stop={"max_iterations": 4})
    turns(world, 30)
    assert len(world.iterations) == 4


def test_a_query_that_cannot_work_with_one_version_is_stated_anew_with_the_next() -> None:
    world = World()
    while world.state.gate is None:
        world.turn()
    broken = world.state.gate.version
    for _ in range(300):
        for act in owed(world.decide(world.state, world.look())[0], world.look()):
            world.act(act)
        for run in list(world.running):
            if world.plans[run].args.get("version") == broken and world.plans[run].job == "query":
                world.fail(run)
            else:
                world.finish(run)
        world.load_candidate()
        world.wait(20)
        if "query" in world.state.attention and world.state.asks.train_now == 0:
            world.state = world.state.evolve(asks=Asks(train_now=1))
    assert world.state.newest != broken
    assert world.state.batches
    assert "query" not in world.state.attention


def test_pause_starts_nothing_and_resume_goes_on() -> None:
    world = turns(World(state=World().state.evolve(asks=Asks(paused=True))), 5)
    assert not world.batches
    assert standing(world.state, world.look()).phase is Phase.PAUSED
    world.state = world.state.evolve(asks=Asks())
    turns(world, 5)
    assert world.batches


def test_two_batches_may_be_open_and_no_third() -> None:
    world = World(spec=make_spec(open_batches=2))
    for _ in range(30):
        world.turn()
        assert len([b for b in world.state.batches if not b.closed]) + (world.state.query is not None) <= 2
    assert len(world.iterations) >= 3


def test_one_class_alone_does_not_train_and_labelling_goes_on() -> None:
    world = World(spec=make_spec())
    world.imported = {"b": -1000}
    turns(world, 20)
    assert len(world.batches) > 2
    assert not world.iterations


def test_train_now_with_too_few_labels_says_what_is_missing() -> None:
    world = World(pool=0)
    world.state = world.state.evolve(asks=Asks(train_now=1))
    turns(world, 3)
    assert "texts of at least two labels" in world.state.attention["labels"]


def test_train_now_trains_once() -> None:
    world = World(pool=0, imported={"a": 2, "b": 2})
    world.wait(60)
    turns(world, 10)
    assert len(world.iterations) == 1
    world.relabel(a=3)
    world.state = world.state.evolve(asks=Asks(train_now=1))
    turns(world, 10)
    assert len(world.iterations) == 2


def test_train_now_without_new_labels_trains_only_by_force_and_no_criterion_counts_that() -> None:
    world = World(spec=make_spec(stop={"max_iterations": 2}), pool=0, imported={"a": 2, "b": 2})
    turns(world, 10)
    world.state = world.state.evolve(asks=Asks(train_now=1))
    turns(world, 10)
    assert len(world.iterations) == 1
    assert world.state.served_train_now == 1
    for number in (2, 3):
        world.state = world.state.evolve(asks=Asks(train_now=number, forced=number))
        turns(world, 10)
    assert len(world.iterations) == 3
    assert (world.state.iteration, world.state.counted_iterations) == (3, 1)
    assert stopped(world.state, world.spec, world.pool_seq, 0) is None
    world.relabel(a=3)
    world.wait(60)
    turns(world, 10)
    assert stopped(world.state, world.spec, world.pool_seq, 0) == "2 iterations done, as loop.stop.max_iterations asks"


def test_train_now_after_a_training_that_failed_tries_the_same_labels_again() -> None:
    world = World(pool=0, imported={"a": 2, "b": 2})
    while "train" not in world.state.attention:
        for act in owed(world.decide(world.state, world.look())[0], world.look()):
            world.act(act)
        for run in list(world.running):
            world.fail(run)
        world.wait(60)
    world.state = world.state.evolve(asks=Asks(train_now=1))
    turns(world, 10)
    assert world.iterations[2].version is not None
    assert world.state.counted_iterations == 1


def test_a_broken_version_neither_serves_nor_queries() -> None:
    world = World()
    while world.state.gate is None:
        world.turn()
    world.verdicts[world.state.gate.version] = BROKEN
    world.results = {run: out for run, out in world.results.items() if world.plans[run].job != "evaluate"}
    turns(world, 6)
    assert world.iterations[1].verdict == BROKEN
    assert "current" not in world.aliases or world.aliases["current"].version != world.iterations[1].version


def test_refusals_in_a_row_ask_for_attention_and_labelling_goes_on() -> None:
    class Strict(dict[str, GateVerdict]):
        def get(self, key: str, default: GateVerdict | None = None) -> GateVerdict:  # type: ignore[override]
            return WORSE

    world = turns(World(verdicts=Strict()), 60)
    said = standing(world.state, world.look())
    assert said.phase is Phase.ATTENTION
    assert "significantly worse" in said.why
    assert len(world.batches) > 3
    assert "current" not in world.aliases


def test_a_hold_keeps_promotions_back_until_a_person_resumes() -> None:
    world = turns(World(pool=200), 15)
    version = world.aliases["current"].version
    previous = world.aliases["current"].previous
    assert previous is not None
    world.state = world.state.evolve(asks=Asks(hold="rolled back by ops"))
    world.move("current", previous, world.aliases["current"].revision, "ops")
    turns(world, 10)
    assert world.aliases["current"].version == previous
    world.state = world.state.evolve(asks=Asks())
    turns(world, 10)
    assert world.aliases["current"].version not in (previous, version)


def test_a_promotion_that_is_rolled_back_before_the_loop_looks_again_was_made() -> None:
    world = World(pool=200)
    while not (world.state.swap and _promoted(world, world.state.swap.version)):
        world.turn()
    moved = world.aliases["current"]
    assert moved.previous is not None
    world.state = world.state.evolve(asks=Asks(hold="rolled back by ops"))
    world.move("current", moved.previous, moved.revision, "ops")
    world.decide(world.state, world.look())
    assert world.state.swap is None
    world.state = world.state.evolve(asks=Asks())
    world.decide(world.state, world.look())
    assert "swap" not in world.state.attention


def _promoted(world: World, version: str) -> bool:
    """Whether it serves in place of another."""
    current = world.aliases.get("current")
    return current is not None and current.version == version and current.previous is not None


def test_no_heartbeat_is_not_all_ready() -> None:
    world = World(fleet=())
    turns(world, 30)
    assert "candidate" in world.aliases
    assert "current" not in world.aliases


def test_a_replica_that_cannot_load_holds_the_others_back_until_the_deadline_only() -> None:
    world = World()
    world.fleet = (Replica("r1"), Replica("r2", failed={}))
    while "candidate" not in world.aliases:
        world.turn()
    version = world.aliases["candidate"].version
    world.fleet = (Replica("r1", ready=frozenset({version})), Replica("r2", failed={version: "disk full"}))
    moves = [a for a in owed(world.state, world.look()) if isinstance(a, MoveAlias)]
    assert not moves
    world.wait(world.spec.gates.replica_deadline_s + 1)
    (move,) = (a for a in owed(world.state, world.look()) if isinstance(a, MoveAlias))
    assert (move.alias, move.version) == ("current", version)


def test_a_version_that_no_replica_can_load_is_given_up_with_the_reason() -> None:
    world = World()
    while "candidate" not in world.aliases:
        world.turn()
    version = world.aliases["candidate"].version
    world.fleet = tuple(replace(r, ready=frozenset(), failed={version: "probes differ"}) for r in world.fleet)
    world.decide(world.state, world.look())
    assert world.state.swap is None
    assert "probes differ" in world.state.attention["swap"]


@pytest.mark.parametrize("job", ["train", "evaluate", "query"])
def test_a_run_that_fails_is_tried_again_and_a_lasting_failure_is_said(job: str) -> None:
    world = World()
    for _ in range(200):
        state, _ = world.decide(world.state, world.look())
        for act in owed(state, world.look()):
            world.act(act)
        for run in list(world.running):
            if world.plans[run].job == job:
                world.fail(run)
            else:
                world.finish(run)
        for batch in world.logged:
            world.answer(batch, SIZE)
        world.wait(30)
        if world.state.attention:
            break
    assert "boom" in " ".join(world.state.attention.values())
    assert max(attempt for attempt, _ in world.failed.values()) >= 3
    turns(world, 100)
    assert len(world.batches) > 1
    assert world.aliases["current"].version == world.state.newest
    assert not set(world.state.attention) - {"train", "gate"}


def test_a_move_of_current_while_the_gate_judges_is_judged_anew() -> None:
    world = World()
    while not ("current" in world.aliases and world.state.gate):
        world.turn()
    gate = world.state.gate
    world.move("current", "by-hand", world.aliases["current"].revision, "ops")
    turns(world, 1)
    assert world.state.gate is not None
    assert world.state.gate.current == "by-hand"
    assert world.state.gate.current_revision == gate.current_revision + 1


def test_the_versions_that_judge_the_next_stay_few() -> None:
    world = turns(World(pool=20 * SIZE), 400)
    assert len(world.iterations) == 20
    served = [world.iterations[n].version for n in sorted(world.iterations)]
    assert world.state.promoted == tuple(served[-RIVALS:])
    judged = [plan for plan in world.plans.values() if plan.job == "evaluate"]
    assert max(len(plan.args["rivals"]) for plan in judged) == RIVALS - 1  # and `current`


def test_a_criterion_that_is_not_installed_asks_for_attention_and_the_loop_goes_on() -> None:
    world = turns(World(pool=20, spec=make_spec(stop={"criterion": "from-a-package"})), 100)
    assert len(world.iterations) == 5
    where = standing(world.state, world.look())
    assert where.phase is Phase.ATTENTION
    assert "no stopping criterion 'from-a-package' on this machine" in where.why
    world.spec = make_spec(stop={"criterion": "none"})
    turns(world, 2)
    assert "stop" not in world.state.attention


def test_signals_of_other_criteria_are_remembered_beside_the_agreement() -> None:
    """Release 0.1 reads ``signals`` alone, as agreements, and rewrites the rest: others must never stand among them."""
    world = World(pool=30, agreement=0.8, signals={"few-changes": 0.4})
    turns(world, 100)
    stop = world.state.stop
    assert len(stop.signals) == len(world.iterations) - 1
    assert stop.others == {"few-changes": (0.4,) * len(stop.signals)}
    assert world.iterations[2].stop == {"kappa": 0.8, "few-changes": 0.4}


def test_fields_of_a_later_release_survive_a_judgement() -> None:
    world = World(pool=30, agreement=0.8)
    state = world.state.model_dump(by_alias=True)
    world.state = type(world.state).model_validate({**state, "stop": {**state["stop"], "of_a_later_release": [1]}})
    turns(world, 60)
    assert world.state.stop.signals
    assert world.state.stop.model_extra == {"of_a_later_release": [1]}
