"""Labels by a model: they train until a person labels the text, and never judge."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.unit.tasks.sample import task_of
from tornio.labels.events import EventKind, LabelEvent
from tornio.records import Purpose, Record
from tornio.spec import TaskSpec
from tornio.tasks import Counter, Counts, Task, export_labels, reserve
from tornio.tasks.asking import askable

pytestmark = pytest.mark.unit

SPEC = TaskSpec.model_validate({"workspace": "care", "name": "tickets", "labels": ["a", "b"]})
NOW = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def task() -> Task:
    return task_of(SPEC)


def counted(task: Task) -> Counts:
    return Counter(task).count(task.labels.read(), ())


def given_by(task: Task) -> dict[str, tuple[list[str], str, str]]:
    return {one.record_id: (one.labels, one.source, one.given_by) for one in export_labels(task).records}


def test_they_train_and_are_told_apart(task: Task) -> None:
    view = task.pool.read()
    first, second = [Record(name, f"Text number {name[1:].lstrip('0')}.") for name in view.record_ids[1:3]]
    task.import_labels([(first, ["a"]), (second, ["b"])], "train", "auto:gpt", auto=True)
    task.import_labels([(second, ["a"])], "train", "import:seed.csv")
    again = task.import_labels([(first, ["a"])], "train", "auto:gpt", auto=True)
    assert (again.imported, again.unchanged) == (0, 1)
    held = reserve(task, task.pool.read(), task.labels.read().events)
    counts = counted(task)
    assert counts.training_labels == {"a": 1 + (first.record_id not in held), "b": 0}
    assert counts.automatic_labels == {"a": int(first.record_id not in held), "b": 0}
    assert given_by(task) == {
        first.record_id: (["a"], "auto", "auto:gpt"),
        second.record_id: (["a"], "import", "import:seed.csv"),
    }


def test_the_latest_model_counts_and_a_person_outranks_it(task: Task) -> None:
    record = Record("new", "A new text.")
    for source, label in (("auto:one", "a"), ("auto:two", "b"), ("auto:one", "a")):
        assert task.import_labels([(record, [label])], "train", source, auto=True).imported == 1
    assert given_by(task)["new"] == (["a"], "auto", "auto:one")
    answer = LabelEvent(
        EventKind.ANSWER, "new", ("b",), 1, "argilla", annotator="ann", response_id="1", response_updated_at=NOW
    )
    task.labels.append([answer])
    task.import_labels([(record, ["a"])], "train", "auto:two", auto=True)
    assert given_by(task)["new"] == (["b"], "answer", "argilla")
    assert counted(task).automatic_labels == {"a": 0, "b": 0}


def test_a_text_that_is_held_out_is_still_asked_and_not_judged_by_them(task: Task) -> None:
    view = task.pool.read()
    held = reserve(task, view, ())
    items = [(Record(name, text), ["a"]) for name, text in zip(view.record_ids, view.texts, strict=True)]
    before = askable(task, view, (), ())
    task.import_labels(items, "train", "auto:gpt", auto=True)
    events = task.labels.read().events
    assert reserve(task, view, events) == held
    after = askable(task, view, events, ())
    assert (after.open_rows, after.reserve_rows) == ((), before.reserve_rows)
    counts = counted(task)
    assert (len(counts.holdout), counts.holdout.reserved) == (0, len(held))
    assert sum(counts.automatic_labels.values()) == sum(counts.training_labels.values()) == 60 - len(held)


def test_an_import_that_was_killed_between_texts_and_labels_is_whole_when_it_is_repeated(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_args: object, **_more: object) -> None:
        raise Killed

    items = [(Record("new", "A new text."), ["a"])]
    with monkeypatch.context() as patched:
        patched.setattr(task.labels, "append", killed)
        with pytest.raises(Killed):
            task.import_labels(items, "train", "import:x")
    assert task.import_labels(items, "train", "import:x").imported == 1
    assert given_by(task)["new"] == (["a"], "import", "import:x")
    assert task.labels.read().events[-1].purpose is Purpose.QUERY
