"""How much of a batch is of the hold-out: its share over the batches, and a trickle once it is large enough."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.query import run as run_query
from tests.unit.controller.turning import quick_fit
from tests.unit.jobs.test_training_inputs import LABELS, World
from tornio.labels.events import EventKind, LabelEvent
from tornio.records import Purpose, Record
from tornio.schemas.jobs import QueryArgs, QueryOutput
from tornio.schemas.task import Batch, BatchItem
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


def store(world: World, number: int, items: tuple[BatchItem, ...]) -> None:
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


def batches_of(world: World, count: int) -> list[int]:
    """The hold-out records in each of the next batches, which are stored."""
    held = []
    for number in range(1, count + 1):
        items = picked(world, number).items
        assert len(items) == 5
        store(world, number, items)
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


def test_records_for_one_more_annotator_come_first_and_take_half_of_a_batch_at_most(tmp_path: Path) -> None:
    """Two annotators disagree on all records of the first two batches."""
    spec = {"batch_size": 5, "holdout_share": 0.4}
    world = World(tmp_path, loop=spec, teacher={"kind": "none"}, annotation={"min_submitted": 2})
    batches_of(world, 2)
    items = [item for batch in world.task.batches() for item in batch.items]
    said = [("ann", 0), ("bob", 1)]
    rows = [(item.record_id, item.purpose, who, label) for item in items for who, label in said]
    rows += [(world.records[0].record_id, Purpose.QUERY, "cas", 0)]
    events = [
        LabelEvent(
            EventKind.ANSWER, name, (LABELS[label],), 1, "argilla",
            annotator=who, response_updated_at=datetime(2026, 1, 1, tzinfo=UTC), purpose=purpose,
        )
        for name, purpose, who, label in rows
    ]  # fmt: skip
    world.task.labels.append(events, after=world.task.labels.last_seq())
    fresh = {item.record_id for item in items}
    for number in range(3, 8):
        batch = picked(world, number).items
        again = [item for item in batch if item.again]
        assert len(again) == 2
        assert batch[:2] == tuple(again)
        assert [(item.record_id, item.purpose) for item in again] == [
            (item.record_id, item.purpose) for item in items[2 * (number - 3) : 2 * (number - 2)]
        ]
        assert all(item.suggestion is None and item.uncertainty is None for item in again)
        assert not {item.record_id for item in batch[2:]} & fresh
        store(world, number, batch)
        fresh |= {item.record_id for item in batch}
    assert not any(item.again for item in picked(world, 8).items), "all wait for their next answer"
    held = [item for batch in world.task.batches()[2:] for item in batch.items if not item.again]
    assert sum(item.purpose is Purpose.HOLDOUT for item in held) == round(0.4 * len(held))
