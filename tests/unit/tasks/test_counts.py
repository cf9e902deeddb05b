"""The one counter of a task, for the loop and for the status."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.unit.tasks.sample import task_of
from tornio.labels.events import EventKind, LabelEvent
from tornio.records import Purpose, Record
from tornio.schemas.task import Batch, BatchItem
from tornio.spec import AnnotationSpec, TaskSpec
from tornio.tasks import Counter, Counts, Progress, Task, Tasks, reserve
from tornio.tasks.data import Undecided

pytestmark = pytest.mark.unit

SPEC = TaskSpec.model_validate({"workspace": "care", "name": "tickets", "labels": ["a", "b"]})
NOW = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def task() -> Task:
    return task_of(SPEC)


def counted(counter: Counter, task: Task, *batches: Batch) -> Counts:
    return counter.count(task.labels.read(), batches)


def test_each_number_is_counted_from_the_same_view(task: Task) -> None:
    view = task.pool.read()
    held = sorted(reserve(task, view, ()))
    asked, imported, deleted = [name for name in view.record_ids if name not in held][:3]
    items = tuple(BatchItem(record_id=name, purpose=Purpose.QUERY) for name in (asked, deleted))
    batch = Batch(
        batch="g1-b0001",
        number=1,
        generation=1,
        dataset="tickets",
        items=items,
        strategy="x",
        run="q",
        created_at=NOW,
    )
    answer = LabelEvent(
        EventKind.ANSWER, asked, ("b",), 1, "s", annotator="ann", response_id="1", response_updated_at=NOW
    )
    given = LabelEvent(EventKind.IMPORT, imported, ("a",), 1, "s", purpose=Purpose.QUERY)
    task.labels.append([answer, given, LabelEvent(EventKind.TOMBSTONE, deleted, (), 1, "s")])
    counts = counted(Counter(task), task, batch)
    assert counts.records == 59
    assert counts.queryable == 60 - len(held) - 3
    assert counts.training_labels == {"a": 1, "b": 1}
    assert counts.imported_labels == {"a": 1, "b": 0}
    assert counts.answered == 1
    assert (counts.holdout.reserved, len(counts.holdout)) == (len(held), 0)
    assert counts.live_records(batch) == [asked]
    assert counts.progress(batch) == Progress(1, 1)
    assert counts.progress(batch, {asked}) == Progress(0, 0)
    assert counts.agreement is None


def test_texts_that_people_labelled_are_counted_with_the_hold_out_and_without_imports(task: Task) -> None:
    view = task.pool.read()
    held = sorted(reserve(task, view, ()))
    free = [name for name in view.record_ids if name not in held]
    asked = [held[0], free[0], free[1]]
    answers = [
        LabelEvent(EventKind.ANSWER, name, ("b",), 1, "s", annotator="ann", response_id=name, response_updated_at=NOW)
        for name in asked
    ]
    task.labels.append(answers)
    assert counted(Counter(task), task).answered == 3
    task.import_labels([(Record("x", "One text."), ["a"])], "train", "s")
    task.import_labels([(Record("y", "Another."), ["a"])], "holdout", "s")
    task.import_labels([(Record("z", "A third."), ["a"])], "train", "auto:m", auto=True)
    counts = counted(Counter(task), task)
    assert (counts.answered, counts.training_texts, len(counts.holdout)) == (3, 4, 2)


def test_a_text_with_several_labels_is_one_text_and_several_labels() -> None:
    task = task_of(SPEC.model_copy(update={"multi_label": True}))
    task.import_labels([(Record("x", "One text."), ["a", "b"]), (Record("y", "Another."), [])], "train", "s")
    counts = counted(Counter(task), task)
    assert counts.training_texts == 2
    assert counts.training_labels == {"a": 1, "b": 1}


def test_texts_with_answers_and_no_label_are_counted() -> None:
    task = task_of(SPEC.model_copy(update={"annotation": AnnotationSpec(min_submitted=2)}))
    said = {"alone": "a", "tied": "ab", "agreed": "aa", "left": "--"}
    ids = dict(zip(said, task.pool.read().record_ids, strict=False))
    answers = [
        LabelEvent(
            EventKind.DISCARD if label == "-" else EventKind.ANSWER,
            ids[name],
            () if label == "-" else (label,),
            1,
            "argilla",
            annotator=f"p{place}",
            response_id=f"{name}{place}",
            response_updated_at=NOW,
        )
        for name, labels in said.items()
        for place, label in enumerate(labels)
    ]
    task.labels.append([*answers, LabelEvent(EventKind.IMPORT, task.pool.read().record_ids[9], ("a",), 1, "s")])
    assert counted(Counter(task), task).undecided == Undecided(waiting=1, disputed=1, needed=2)


def test_it_counts_anew_only_when_something_was_added(task: Task) -> None:
    counter = Counter(task)
    first = counted(counter, task)
    assert counted(counter, task) is first
    task.add_records([Record("new", "A new text.")])
    second = counted(counter, task)
    assert second is not first
    assert len(second.view) == 61
    task.labels.append([LabelEvent(EventKind.IMPORT, "new", ("a",), 1, "s", purpose=Purpose.QUERY)])
    third = counted(counter, task)
    assert third.training_labels == {"a": 1, "b": 0}
    Tasks(task.store).apply(SPEC.model_copy(update={"guidelines": "Read twice."}), "test")
    task.refresh()
    assert counted(counter, task).spec.guidelines == "Read twice."
