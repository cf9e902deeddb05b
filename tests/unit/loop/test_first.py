"""When the first version is trained, and what is said until one serves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.loop.world import World, make_spec
from tornio.loop import first
from tornio.loop.acts import owed
from tornio.loop.observation import Observation
from tornio.schemas.loop import Asks
from tornio.spec import TaskSpec

pytestmark = pytest.mark.unit

THREE = TaskSpec.model_validate({**make_spec().model_dump(), "labels": ["a", "b", "c"]})


class Three(World):
    """A world whose third label no annotator ever gives."""

    def look(self) -> Observation:
        seen = super().look()
        counts = {**seen.train_labels, "c": self.imported.get("c", 0)}
        imported = {name: self.imported.get(name, 0) for name in "abc"} if self.imported else {}
        return replace(seen, train_labels=counts, imported_labels=imported)


def said(world: World) -> str:
    why = first.waits_for(world.state, world.look())
    assert why is not None
    return why


def trains(world: World) -> bool:
    return world.state.train is not None


def open_a_batch(world: World) -> str:
    while not world.state.batches:
        step(world)
    return world.state.batches[0].batch


def step(world: World) -> None:
    state, _ = world.decide(world.state, world.look())
    for act in owed(state, world.look()):
        world.act(act)
    for run in list(world.running):
        world.finish(run)


def test_an_import_that_lacks_a_label_trains_once_it_is_over_even_while_a_batch_is_picked() -> None:
    world = Three(spec=THREE)
    world.decide(world.state, world.look())
    assert world.state.query is not None
    world.relabel(a=200, b=267)
    world.decide(world.state, world.look())
    assert not trains(world)  # more of the import may come
    assert said(world).startswith("its training starts within seconds")
    assert "1 of 3 labels have no text, so it cannot predict 'c'" in said(world)
    world.wait(first.QUIET.total_seconds())
    world.decide(world.state, world.look())
    assert trains(world)
    assert world.state.query is not None
    assert said(world).startswith("it is being trained (iteration 1)")


def test_labels_of_every_class_wait_for_the_end_of_the_import_too() -> None:
    world = Three(spec=THREE)
    for part in range(1, 4):  # a large import comes in several requests
        world.relabel(a=part, b=part, c=part)
        world.wait(first.QUIET.total_seconds() / 2)
        world.decide(world.state, world.look())
        assert not trains(world)
    assert said(world) == "its training starts within seconds"
    world.wait(first.QUIET.total_seconds() / 2)
    world.decide(world.state, world.look())
    assert trains(world)


def test_an_open_batch_does_not_keep_imported_labels_waiting() -> None:
    world = Three(spec=THREE)
    open_a_batch(world)
    world.relabel(a=5, b=5)
    world.wait(first.QUIET.total_seconds())
    world.decide(world.state, world.look())
    assert trains(world)


@pytest.mark.parametrize(("imported", "so_far"), [({}, "none has one"), ({"b": 4}, "only 'b' has one")])
def test_what_the_labels_lack_is_said_with_what_to_do(imported: dict[str, int], so_far: str) -> None:
    world = Three(spec=THREE)
    assert "answer batch" not in said(world)
    batch = open_a_batch(world)
    world.relabel(**imported)
    world.wait(60)
    assert said(world) == (
        f"a training needs texts of at least two labels, and {so_far} so far; answer batch {batch} (0 of 4 answered), "
        "or import labels with `tornio labels import`"
    )
    world.decide(world.state, world.look())
    assert not trains(world)


def test_answers_of_two_labels_wait_for_their_batch_and_train_now_does_not() -> None:
    world = World()
    batch = open_a_batch(world)
    world.answer(batch, 2)
    assert said(world) == (
        f"its training starts when batch {batch} (2 of 4 answered) closes; `tornio train-now` does not wait for that"
    )


def test_nothing_is_said_once_a_version_serves_and_a_trouble_comes_first() -> None:
    world = World()
    open_a_batch(world)
    world.state = world.state.evolve(asks=Asks(paused=True))
    world.relabel(a=3, b=3)
    assert "tornio resume" in said(world)
    world.state = world.state.evolve(asks=Asks(), attention={"train": "training 1 failed: no encoder"})
    assert said(world) == "training 1 failed: no encoder"
    world = World()
    while "current" not in world.aliases:
        world.turn()
    assert first.waits_for(world.state, world.look()) is None


def test_a_correction_just_before_does_not_hold_up_a_closed_batch() -> None:
    world = World()
    world.answer(open_a_batch(world), 4)
    world.wait(1)
    step(world)
    assert trains(world)
