"""The loop, told as stories."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.loop.world import SIZE, World, make_spec
from tornio.loop.acts import LogBatch, MoveAlias, StartRun, WriteBatch, owed
from tornio.loop.observation import Replica
from tornio.loop.phase import Phase, standing
from tornio.schemas.loop import Asks
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


def test_imported_labels_of_every_class_train_at_once() -> None:
    world = World(imported={"a": 3, "b": 3})
    state, _ = world.decide(world.state, world.look())
    assert state.train is not None
    assert state.query is None


def test_a_pool_without_texts_waits_and_says_for_what() -> None:
    world = turns(World(pool=0, pool_seq=0), 5)
    said = standing(world.state, world.look())
    assert said.phase is Phase.WAITING
    assert "tornio pool add" in said.why


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
    assert world.state.attention is not None
    assert "at least two classes" in world.state.attention


def test_train_now_trains_once() -> None:
    world = World(pool=0, imported={"a": 2})
    world.imported["b"] = 2
    turns(world, 10)
    assert len(world.iterations) == 1
    world.state = world.state.evolve(asks=Asks(train_now=1))
    turns(world, 10)
    assert len(world.iterations) == 2


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
    assert world.state.attention is not None
    assert "probes differ" in world.state.attention


@pytest.mark.parametrize("job", ["train", "evaluate", "query"])
def test_a_run_that_fails_is_tried_again_and_a_lasting_failure_is_said(job: str) -> None:
    world = World()
    for _ in range(200):
        state, _ = world.decide(world.state, world.look())
        for act in owed(state, world.look()):
            world.act(act)
        for run in list(world.running):
            world.fail(run) if world.plans[run].job == job else world.finish(run)
        for batch in world.logged:
            world.answer(batch, SIZE)
        world.wait(30)
        if world.state.attention:
            break
    assert world.state.attention is not None
    assert "boom" in world.state.attention
    tries = {run: attempt for run, (attempt, _) in world.failed.items()}
    assert max(tries.values()) >= 3
    turns(world, 40)
    assert len(world.batches) > 1


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
