"""Changing the labels of a task: said before it is done, refused where it makes no sense, done once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.tasks.sample import task_of
from tornio.errors import ChangeRefused, InvalidInput, InvalidSpec
from tornio.records import Record
from tornio.spec import LabelSpec, TaskSpec
from tornio.tasks import Task, Tasks, preview_deletion
from tornio.tasks.relabelling import Relabelling, change_of, fates, relabelled

pytestmark = pytest.mark.unit


def spec_of(*labels: Any) -> TaskSpec:
    return TaskSpec.model_validate(
        {"workspace": "care", "name": "tickets", "labels": list(labels), "loop": {"holdout_share": 0.2}}
    )


@pytest.fixture
def task() -> Task:
    return task_of(spec_of("a", "b", "c"))


def imported(task: Task, *labels: str) -> None:
    view = task.pool.read()
    rows = range(len(labels))
    task.import_labels([(Record(view.record_ids[r], view.texts[r]), [labels[r]]) for r in rows], "train", "import:x")


def test_what_becomes_of_each_label_is_said_before_it_is_done(task: Task) -> None:
    imported(task, "a", "a", "b", "c")
    tasks = Tasks(task.store)
    wanted = spec_of({"name": "A", "renamed_from": "a"}, {"name": "bc", "merged_from": ["b"]}, "d")
    with pytest.raises(ChangeRefused) as refused:
        tasks.apply(wanted, "ann")
    assert "'a' is renamed to 'A' (labelled texts: 2)" in str(refused.value)
    assert "'c' is removed (labelled texts: 1)" in str(refused.value)
    assert "'d' is new" in str(refused.value)
    assert "--migrate-labels" in str(refused.value)
    assert tasks.preview(wanted).fates == tasks.apply(wanted, "ann", migrate=True).fates
    now = tasks.open("care", "tickets")
    assert now.spec.label_names == ("A", "bc", "d")
    assert (now.document.generation, now.document.label_set_rev) == (2, 2)


def test_the_same_file_again_changes_nothing(task: Task) -> None:
    tasks = Tasks(task.store)
    wanted = spec_of({"name": "A", "renamed_from": "a"}, {"name": "b", "merged_from": ["b", "c"]})
    assert tasks.apply(wanted, "ann", migrate=True).spec_rev == 2
    assert not tasks.apply(wanted, "ann").changes
    again = tasks.open("care", "tickets")
    assert again.document.generation == 2
    assert [one.becomes for one in again.label_sets()] == [{}, {"a": "A", "b": "b", "c": "b"}]


def test_labels_are_read_with_their_present_names_and_at_any_revision(task: Task) -> None:
    imported(task, "a", "b", "c")
    tasks = Tasks(task.store)
    tasks.apply(spec_of({"name": "A", "renamed_from": "a"}, "b", "x"), "ann", migrate=True)
    now = tasks.open("care", "tickets")
    assert [one.labels for one in now.label_view().events] == [("A",), ("b",), ()]
    assert [one.labels for one in now.label_view(spec_rev=1).events] == [("a",), ("b",), ("c",)]
    assert [one.labels for one in now.labels.read()] == [("a",), ("b",), ("c",)], "the log is never rewritten"
    assert list(now.label_view().lapsed) == ["r02"]


def test_release_02_cannot_read_a_task_of_a_later_generation(task: Task) -> None:
    before = json.loads(task.store.get(task.keys.document).body)
    Tasks(task.store).apply(spec_of("a", "b", "x"), "ann", migrate=True)
    after = json.loads(task.store.get(task.keys.document).body)
    assert (before["schema"], after["schema"]) == (1, 3), "0.2 reads 1 and 2"


def test_an_apply_that_was_killed_half_way_is_done_by_the_next(task: Task) -> None:
    tasks = Tasks(task.store)
    wanted = spec_of("a", "b", "x")

    def killed(operation: str, key: str) -> None:
        if operation == "put_if_absent" and "label-sets" in key:
            raise KeyboardInterrupt

    task.store.after = killed  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        tasks.apply(wanted, "ann", migrate=True)
    task.store.after = None  # type: ignore[attr-defined]
    assert tasks.open("care", "tickets").document.generation == 1
    other = spec_of("a", "b", "y")  # somebody changes their mind
    tasks.apply(other, "ann", migrate=True)
    now = tasks.open("care", "tickets")
    assert (now.document.generation, now.document.label_set_rev) == (2, 3)
    assert now.label_sets()[-1].becomes == {"a": "a", "b": "b", "c": None}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", {"name": "x", "renamed_from": "a"}], "becomes 'x' and is also kept"),
        ([{"name": "x", "renamed_from": "q"}, "b"], "is no label of the task"),
        ([{"name": "b", "renamed_from": "a"}, "c"], "merged_from: ['a']"),
        ([{"name": "x", "renamed_from": "a"}, {"name": "y", "renamed_from": "a"}], "becomes both 'x' and 'y'"),
    ],
)
def test_what_makes_no_sense_is_refused(labels: list[Any], message: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        change_of(("a", "b", "c"), spec_of(*labels).labels)
    assert message in str(refused.value)


def test_a_change_in_words_makes_the_new_labels() -> None:
    spec = spec_of("a", "b", {"name": "c", "description": "All the rest."}, "d")
    wanted = Relabelling({"a": "A"}, {"c": ["b", "c"]}, ["d"], [LabelSpec(name="e")])
    new = relabelled(spec, wanted)
    assert new.label_names == ("A", "c", "e")
    assert new.labels[1].description == "All the rest."
    change = change_of(spec.label_names, new.labels)
    assert change.becomes == {"a": "A", "b": "c", "c": "c", "d": None}
    assert change.added == ("e",)
    assert len(list(fates(change, {}))) == 4
    anew = Relabelling({}, {}, ["d"], [LabelSpec(name="d")])
    for faulty in (Relabelling({"q": "x"}), Relabelling({"a": "x"}, {}, ["a"]), anew):
        with pytest.raises(InvalidSpec):
            relabelled(spec, faulty)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Relabelling(remove=["a", "b"]), "at least two labels, and this change leaves 'c'"),
        (Relabelling(merge={"x": ["a", "b", "c"]}), "leaves 'x'"),
        (Relabelling(remove=["a", "b", "c"]), "leaves none"),
        (Relabelling({"a": "b"}), "would have 'b' twice"),
        (Relabelling(add=["c"]), "would have 'c' twice"),
        (Relabelling({"a": " x"}), "cannot have these labels"),
        (Relabelling({"a": "x" * 201}), "cannot have these labels"),
        (Relabelling(merge={"": ["a", "b"]}), "cannot have these labels"),
        (Relabelling(add=[""]), "cannot have these labels"),
    ],
)
def test_a_change_in_words_that_makes_no_sense_is_refused(wanted: Relabelling, message: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        relabelled(spec_of("a", "b", "c"), wanted)
    assert message in str(refused.value)


def test_a_label_that_was_merged_can_be_renamed_and_one_that_was_renamed_merged() -> None:
    spec = relabelled(spec_of("a", "b", "c", "d"), Relabelling({"c": "C"}, {"x": ["a", "b"]}))
    again = relabelled(spec, Relabelling({"x": "y"}, {"z": ["C", "d"]}))
    assert change_of(spec.label_names, again.labels).becomes == {"x": "y", "C": "z", "d": "z"}
    assert TaskSpec.model_validate_json(again.model_dump_json(exclude_unset=True)) == again


def test_another_revision_than_the_expected_one_is_refused(task: Task) -> None:
    with pytest.raises(ChangeRefused, match="was changed meanwhile"):
        Tasks(task.store).apply(spec_of("a", "b", "x"), "ann", migrate=True, expected_rev=7)


def test_an_import_with_former_names_says_what_they_are_called_now(task: Task) -> None:
    tasks = Tasks(task.store)
    tasks.apply(spec_of({"name": "A", "renamed_from": "a"}, "b", "x"), "ann", migrate=True)
    now = tasks.open("care", "tickets")
    for given, said in (
        ("a", "no label 'a' any more (now 'A')"),
        ("c", "'c' any more (it was removed)"),
        ("q", "'q'."),
    ):
        with pytest.raises(InvalidInput) as refused:
            imported(now, given)
        assert said in str(refused.value)


def test_another_order_of_the_labels_is_said(task: Task) -> None:
    with pytest.raises(ChangeRefused, match="only their order"):
        Tasks(task.store).apply(spec_of("b", "a", "c"), "ann")


def test_a_deletion_counts_no_label_that_was_removed(task: Task) -> None:
    imported(task, "a", "c")
    tasks = Tasks(task.store)
    tasks.apply(spec_of("a", "b"), "ann", migrate=True)
    now = tasks.open("care", "tickets")
    assert preview_deletion(now, now.pool.read().record_ids[:2]).labelled == 1
