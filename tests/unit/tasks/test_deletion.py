"""Deleted records: from the tombstone on nobody reads them, and nobody writes about them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.unit.registry.example import manifest
from tests.unit.tasks.sample import task_of
from tornio.api import LabelIn
from tornio.errors import InvalidInput
from tornio.labels.agreement import agreement
from tornio.labels.automatic import automatic_label
from tornio.labels.events import EventKind, LabelEvent
from tornio.pool.purging import Purge
from tornio.records import Purpose, Record, default_record_id
from tornio.schemas.loop import LoopState, OpenBatch
from tornio.schemas.runs import RunPlan
from tornio.schemas.task import Batch, BatchItem
from tornio.spec import TaskSpec
from tornio.storage import documents
from tornio.tasks import (
    Learned,
    Task,
    Tasks,
    adaptable_rows,
    askable,
    delete_records,
    export_labels,
    holdout_set,
    learned_from,
    match_records,
    preview_deletion,
    reserve,
    training_set,
)

pytestmark = pytest.mark.unit

SPEC = TaskSpec.model_validate(
    {"workspace": "care", "name": "tickets", "labels": ["a", "b"], "loop": {"holdout_share": 0.2}}
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def task() -> Task:
    return task_of(SPEC)


def labelled(task: Task, *record_ids: str) -> None:
    view = task.view()
    items = [(view.record(one), ["a"]) for one in record_ids]
    task.import_labels(items, "train", "file")


def open_ids(task: Task) -> list[str]:
    view = task.view()
    return [view.record_ids[row] for row in askable(task, view, task.labels.read(), ()).open_rows]


def test_a_deleted_record_is_read_by_nobody_not_even_at_an_earlier_position(task: Task) -> None:
    held = sorted(reserve(task, task.view(), ()))[0]
    gone, stays = open_ids(task)[:2]
    labelled(task, gone, stays)
    task.import_labels([(task.view().record(held), ["b"])], "holdout", "file")
    before = task.labels.last_seq()
    assert training_set(task, before, 1).record_ids == (gone, stays)
    delete_records(task, [gone, held], "ops")
    for opened in (task, Tasks(task.store).open("care", "tickets")):
        assert training_set(opened, before, 1).record_ids == (stays,)
        assert holdout_set(opened, before, 1).record_ids == ()
        assert [one.record_id for one in export_labels(opened).records] == [stays]
        assert not {gone, held} & set(open_ids(opened))
        view = opened.view()
        rows = adaptable_rows(view, opened.labels.read(before).events, SPEC, opened.document.holdout_key)
        assert not {gone, held} & {view.record_ids[row] for row in rows}
        assert [view.texts[int(row)] for row in view.rows_of([gone, held])] == ["", ""]
        assert len(view) == 60


def test_deleting_again_changes_nothing_and_an_unknown_id_deletes_nothing(task: Task) -> None:
    first = delete_records(task, ["r01", "r02", "r01"], "ops")
    assert (first.records, first.already) == (2, 0)
    events = task.labels.read().events
    assert [(one.record_id, one.source) for one in events] == [("r01", "api:ops"), ("r02", "api:ops")]
    again = delete_records(task, ["r01", "r02"], "ops")
    assert (again.records, again.already) == (0, 2)
    with pytest.raises(InvalidInput, match="no record 'x', 'y', so nothing was deleted"):
        delete_records(task, ["r03", "x", "y"], "ops")
    assert task.labels.read().events == events


def test_nobody_writes_about_a_deleted_record(task: Task) -> None:
    delete_records(task, ["r01"], "ops")
    late = LabelEvent(
        EventKind.ANSWER, "r01", ("a",), 1, "argilla", annotator="ann", response_id="1", response_updated_at=NOW
    )
    other = replace(late, record_id="r02", response_id="2")
    task.labels.append([late, other])
    assert [one.record_id for one in task.labels.read()] == ["r01", "r02"]


def test_answers_about_a_deleted_record_count_nowhere_not_even_in_agreement(task: Task) -> None:
    def said(who: str, label: str) -> LabelEvent:
        return LabelEvent(
            EventKind.ANSWER, "r01", (label,), 1, "argilla", annotator=who, response_id=f"{who}1",
            response_updated_at=NOW,
        )  # fmt: skip

    task.labels.append([said("ann", "a"), said("bob", "b")])
    assert agreement(task.labels.read()) is not None
    delete_records(task, ["r01"], "ops")
    for log in (task.labels.read(), task.labels.read(1)):
        assert agreement(log) is None
        assert [one.event for one in log] == [EventKind.TOMBSTONE]
    assert len(task.labels.read().as_it_was) == 3


def test_a_deleted_record_does_not_come_back_and_its_text_may_under_another_id(task: Task) -> None:
    text = task.view().record("r01").text
    delete_records(task, ["r01"], "ops")
    added = task.add_records([Record("r01", text), Record("r01", "another"), Record("r02", "Text number 2.")])
    assert (added.added, added.known, added.deleted) == (0, 1, 2)
    imported = task.import_labels([(Record("r01", text), ["a"])], "train", "file")
    assert (imported.imported, imported.deleted) == (0, 1)
    again = task.add_records([Record("new", text)], duplicates=False)
    assert (again.added, again.same_text) == (1, 0)
    (matched, _) = match_records(task.view(), [LabelIn(text=text, labels=["a"])])[0]
    assert matched.record_id == "new"
    assert "new" in open_ids(task) + sorted(reserve(task, task.view(), ()))


def test_a_text_without_an_id_is_left_out_too_because_its_id_follows_from_it(task: Task) -> None:
    task.add_records([Record(default_record_id("hello"), "hello")])
    delete_records(task, [default_record_id("hello")], "ops")
    (record, _) = match_records(task.view(), [LabelIn(text="hello", labels=["a"])])[0]
    assert task.import_labels([(record, ["a"])], "train", "file").deleted == 1


def test_what_will_be_lost_is_said_before(task: Task) -> None:
    held = sorted(reserve(task, task.view(), ()))[0]
    one, two, three = open_ids(task)[:3]
    labelled(task, one)
    batch = Batch(
        batch="g1-b0001", number=1, generation=1, dataset="tickets", strategy="x", run="q", created_at=NOW,
        items=tuple(BatchItem(record_id=name, purpose=Purpose.QUERY) for name in (two, three)),
    )  # fmt: skip
    documents.create(task.store, task.keys.batch(batch.batch), batch)
    opened = OpenBatch(batch=batch.batch, opened_at=NOW)
    documents.update(task.store, task.keys.loop, LoopState, lambda state: state.evolve(batches=(opened,)))
    seen = preview_deletion(task, [held, one, two])
    assert (seen.records, seen.already, seen.labelled, seen.holdout, seen.open) == (3, 0, 1, 1, 1)
    assert not task.labels.read().deleted
    delete_records(task, [one], "ops")
    assert preview_deletion(task, [held, one]).already == 1


def published(task: Task, version: str, minute: int, method: str = "", pool_seq: int = 1) -> None:
    plan = RunPlan(run=f"train-{version}", job="train", workspace="care", task="tickets", args={"method": method})
    documents.create(task.store, task.keys.run(plan.run).plan, plan)
    seq = task.labels.last_seq()
    made = manifest(version, minute).evolve(run=plan.run, label_seq=seq, pool_seq=pool_seq)
    documents.create(task.store, task.keys.version(version), made)


def test_the_versions_that_learned_from_records_are_named(task: Task) -> None:
    held = sorted(reserve(task, task.view(), ()))[0]
    one, two, three = open_ids(task)[:3]
    published(task, "v0", 0, "distillation")
    labelled(task, one)
    published(task, "v1", 1)
    labelled(task, two)
    published(task, "v2", 2)
    published(task, "v3", 3, "self-training")
    assert learned_from(task, [three]) == (Learned("v0", 0, 1), Learned("v3", 0, 1))
    expected = (Learned("v0", 0, 3), Learned("v1", 1, 0), Learned("v2", 2, 0), Learned("v3", 2, 1))
    asked = [held, one, two, three]
    assert learned_from(task, asked) == expected
    assert preview_deletion(task, asked).versions == expected
    delete_records(task, asked, "ops")
    assert learned_from(task, asked) == expected, "it is a fact of the past"
    assert learned_from(Tasks(task.store).open("care", "tickets"), asked) == expected
    assert preview_deletion(task, asked).versions == ()


def test_an_automatic_label_that_did_not_train_names_no_version_after_a_purge_either(task: Task) -> None:
    one, two = open_ids(task)[:2]
    labelled(task, two)
    task.labels.append([automatic_label("v0", one, "a", 0.9, 1)])
    published(task, "v1", 1)
    delete_records(task, [one], "ops")
    assert learned_from(task, [one]) == ()
    Purge(task.store, task.keys, frozenset([one]), lambda _run: None).run()
    assert learned_from(task, [one]) == ()
