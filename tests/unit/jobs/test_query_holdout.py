"""How much of a batch is of the hold-out: its share over the batches, and a trickle once it is large enough."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.query import run as run_query
from tests.unit.controller.turning import quick_fit
from tests.unit.jobs.test_training_inputs import LABELS, World
from tornio.records import Purpose, Record
from tornio.schemas.jobs import QueryArgs, QueryOutput
from tornio.schemas.task import Batch
from tornio.spec import TaskSpec
from tornio.storage import documents

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick_fit():
        yield


def picked(world: World, number: int) -> QueryOutput:
    args = QueryArgs(
        batch=f"g1-b{number:04d}",
        number=number,
        generation=1,
        version=None,
        label_seq=world.task.labels.read().seq,
        pool_seq=world.pool_seq,
        spec_rev=1,
    )
    return run_query(args, world.context(args))


def batches_of(world: World, count: int) -> list[int]:
    """The hold-out records in each of the next batches, which are stored."""
    held = []
    for number in range(1, count + 1):
        items = picked(world, number).items
        assert len(items) == 5
        batch = Batch(
            batch=f"g1-b{number:04d}",
            number=number,
            generation=1,
            dataset="t",
            items=items,
            strategy="random",
            run="q",
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        documents.create_or_get(world.store, world.task.keys.batch(batch.batch), batch)
        held.append(sum(item.purpose is Purpose.HOLDOUT for item in items))
    return held


def test_batches_of_five_keep_the_holdouts_share_together_and_not_each(tmp_path: Path) -> None:
    world = World(tmp_path, loop={"batch_size": 5}, teacher={"kind": "none"})
    assert sum(batches_of(world, 4)) == 2
    again = World(tmp_path / "again", loop={"batch_size": 5}, teacher={"kind": "none"})
    assert batches_of(again, 4) == batches_of(
        World(tmp_path / "x", loop={"batch_size": 5}, teacher={"kind": "none"}), 4
    )


def test_a_test_set_that_was_imported_leaves_a_trickle(tmp_path: Path) -> None:
    spec = {"batch_size": 5, "holdout_share": 0.5}
    world = World(tmp_path, loop=spec, gates={"min_holdout": 10}, teacher={"kind": "none"})
    tests = [(Record(f"t{i}", f"test text {i}"), [LABELS[i % 3]]) for i in range(9)]
    world.task.import_labels(tests, "holdout", "test")
    few = World(tmp_path / "few", loop=spec, gates={"min_holdout": 10}, teacher={"kind": "none"})
    assert sum(batches_of(few, 3)) in (7, 8)
    assert sum(item.purpose is Purpose.HOLDOUT for item in picked(world, 1).items) in (2, 3)
    world.task.import_labels([(Record("t9", "test text 9"), [LABELS[0]])], "holdout", "test")
    assert sum(item.purpose is Purpose.HOLDOUT for item in picked(world, 1).items) <= 1


def test_the_hold_out_that_is_enough_is_a_setting(tmp_path: Path) -> None:
    spec = {"batch_size": 5, "holdout_share": 0.5, "holdout_enough": 0}
    world = World(tmp_path, loop=spec, teacher={"kind": "none"})
    assert sum(batches_of(world, 3)) <= 1


def test_a_stored_spec_names_the_enough_only_where_it_was_chosen() -> None:
    """Release 0.2 does not know the field and refuses what it does not know."""
    values = {"workspace": "w", "name": "t", "labels": ["a", "b"]}
    assert "holdout_enough" not in TaskSpec.model_validate(values).model_dump_json()
    chosen = TaskSpec.model_validate({**values, "loop": {"holdout_enough": 90}})
    assert TaskSpec.model_validate_json(chosen.model_dump_json()).loop.holdout_enough == 90
