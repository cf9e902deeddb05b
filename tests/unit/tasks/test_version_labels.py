"""Labels that versions give: exactly which event each is, and what never happens to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.tasks.sample import task_of
from tornio.errors import InvalidSpec, Unavailable
from tornio.labels.automatic import (
    Given,
    automatic_label,
    given_by_version,
    standing_labels,
    withdrawal,
    without_versions,
)
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.label_sets import LabelSet, translate
from tornio.labels.resolve import annotators_done, resolve, standing
from tornio.records import Purpose, Record
from tornio.schemas.automatic import AutoLabelOutput
from tornio.schemas.tables import AUTO_LABELS
from tornio.spec import TaskSpec
from tornio.storage.memory import MemoryStore
from tornio.tasks import (
    Counter,
    Task,
    Tasks,
    delete_records,
    export_labels,
    reserve,
    withdraw_automatic,
    write_automatic,
)
from tornio.tasks.asking import askable

pytestmark = pytest.mark.unit

VALUES = {
    "workspace": "care", "name": "tickets", "labels": ["a", "b"], "auto_label": {"target_error": 0.05},
    "loop": {"holdout_share": 0.3},
}  # fmt: skip
SPEC = TaskSpec.model_validate(VALUES)
NOW = datetime(2026, 11, 29, tzinfo=UTC)
RECORDS = tuple(f"r{number:02}" for number in range(60))


def answer(record_id: str, label: str, purpose: Purpose = Purpose.QUERY) -> LabelEvent:
    return LabelEvent(
        EventKind.ANSWER, record_id, (label,), 1, "argilla", annotator="ann", response_id=f"{record_id}-ann",
        response_updated_at=NOW, dataset="d", purpose=purpose,
    )  # fmt: skip


def decided(
    task: Task, version: str, labels: Sequence[tuple[str, str, float]], threshold: float = 0.0, run: str = "run-1"
) -> AutoLabelOutput:
    """What the job leaves behind."""
    key = f"{run}/labels.parquet"
    columns = [pa.array(column) for column in zip(*labels, strict=True)] or [pa.array([], pa.string())] * 3
    table = pa.Table.from_arrays(columns, names=AUTO_LABELS.columns.names)
    task.store.put(key, AUTO_LABELS.encode(table))
    return AutoLabelOutput(
        version=version, label_set_rev=1, thresholds={"a": threshold, "b": threshold}, target_error=0.05,
        confidence=0.9, measures=(), holdout=100, unlabelled=60, allowed=len(labels), labelled=len(labels), labels=key,
    )  # fmt: skip


def write(
    task: Task, version: str, labels: Sequence[tuple[str, str, float]], run: str = "", least: float = 0.0
) -> None:
    run = run or f"run-{version}"
    write_automatic(task, run, decided(task, version, labels, least, run), NOW)


def exported(task: Task) -> dict[str, tuple[str, str | None, float | None]]:
    return {one.record_id: (one.labels[0], one.version, one.probability) for one in export_labels(task).records}


def test_the_origin_is_version_and_record_so_that_it_has_a_key() -> None:
    label = automatic_label("v1", "r1", "a", 0.75, 3)
    assert label.key == ("auto:v1:r1", None, EventKind.AUTO)
    assert label.key == automatic_label("v1", "r1", "b", 0.5, 4).key
    others = [automatic_label("v2", "r1", "a", 0.75, 3), automatic_label("v1", "r2", "a", 0.75, 3), withdrawal(label)]
    assert len({label.key, *(one.key for one in others)}) == 4


KINDS = st.sampled_from([EventKind.ANSWER, EventKind.DISCARD, EventKind.WITHDRAW, EventKind.CORRECTION])
PERSONAL = st.builds(
    lambda kind, label, who, purpose: replace(
        answer("r1", label, purpose), event=kind, annotator=who, response_id=f"r1-{who}"
    ),
    KINDS, st.sampled_from("ab"), st.sampled_from(["ann", "bob"]), st.sampled_from(list(Purpose)),
)  # fmt: skip


def _of_version(version: str, label: str, gone: bool) -> LabelEvent:
    one = automatic_label(version, "r1", label, 0.9, 1)
    return withdrawal(one) if gone else one


@given(
    people=st.lists(PERSONAL, max_size=5),
    labels=st.lists(st.builds(_of_version, st.sampled_from(["v1", "v2"]), st.sampled_from("ab"), st.booleans())),
    data=st.data(),
)
def test_a_label_of_a_version_and_its_withdrawal_never_read_as_a_person_s(
    people: list[LabelEvent], labels: list[LabelEvent], data: st.DataObject
) -> None:
    """Wherever they stand in the log, what people said is what it would be without them."""
    mixed = data.draw(st.permutations([*people, *labels]))
    alone = [event for event in mixed if not event.of_version]
    assert standing(mixed) == standing(alone)
    assert annotators_done(mixed) == annotators_done(alone)
    with_labels = resolve(mixed, ["a", "b"], False).get("r1")
    without = resolve(alone, ["a", "b"], False).get("r1")
    if without is not None and without.kind is not None:
        assert with_labels == without
    elif with_labels is not None:
        assert with_labels.annotators == (without.annotators if without else 0)
        assert with_labels.kind in (None, EventKind.AUTO)
        assert (with_labels.version is None) == (not standing_labels(mixed))


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_a_record_of_the_reserve_never_keeps_one_and_withdrawn_labels_never_come_back(data: st.DataObject) -> None:
    """Whatever is written, withdrawn, imported and repeated, in any order."""
    task = task_of(SPEC)
    names = st.lists(st.sampled_from(RECORDS), unique=True, max_size=8)
    gone: set[tuple[str, str]] = set()
    for number in range(data.draw(st.integers(1, 8))):
        version = data.draw(st.sampled_from(["v1", "v2", "v3"]))
        match data.draw(st.sampled_from(["write", "withdraw", "import", "answer", "delete"])):
            case "write":
                labels = [(name, "a", 0.5) for name in data.draw(names)]
                least = data.draw(st.sampled_from([0.0, 0.9]))
                for _ in range(data.draw(st.integers(1, 2))):
                    write(task, version, labels, f"run-{number}", least)
            case "withdraw":
                withdraw_automatic(task, [version])
                withdraw_automatic(task, [version])
            case "import":
                there = [name for name in data.draw(names) if name not in task.labels.read().deleted]
                items = [(Record(name, f"Text number {int(name[1:])}."), ["b"]) for name in there]
                task.import_labels(items, "holdout", "import:test.csv")
                withdraw_automatic(task, [])  # what the loop does as soon as it sees it
            case "delete":
                delete_records(task, data.draw(names), "me")
            case "answer":
                task.labels.append([answer(name, "b") for name in data.draw(names)])
        events = task.labels.read().events
        stands = set(standing_labels(events))
        held = reserve(task, task.pool.read(), events)
        assert not {name for _, name in stands} & held
        assert not stands & gone
        gone |= {(str(e.model_version), e.record_id) for e in events if e.event is EventKind.WITHDRAW}
        keys = [event.key for event in events if event.of_version]
        assert len(keys) == len(set(keys))
        assert all(label == "b" for name, (label, version_, _) in exported(task).items() if version_ is None)
    assert Counter(task).count(task.labels.read(), ()).misplaced == 0


def test_a_person_outranks_them_and_below_a_person_they_stay(task: Task) -> None:
    first, second = _open(task)[:2]
    write(task, "v1", [(first, "a", 0.75), (second, "b", 0.5)])
    assert exported(task) == {first: ("a", "v1", 0.75), second: ("b", "v1", 0.5)}
    task.labels.append([answer(first, "b")])
    assert exported(task)[first] == ("b", None, None)
    assert given_by_version(task.labels.read().events)["v1"].standing == 2


def test_an_answer_silences_them_also_where_more_annotators_have_to_answer() -> None:
    said = [automatic_label("v1", "r1", "b", 0.9, 1), answer("r1", "a")]
    waiting = resolve(said, ["a", "b"], False, 2)["r1"]
    assert (waiting.labels, waiting.kind, waiting.annotators) == (None, None, 1)
    removed = (LabelSet(1), LabelSet(2, 2, {"a": "a", "b": None}))
    (theirs,) = without_versions(translate(said, removed, False, 2).events)
    assert (theirs.labels, theirs.lapsed) == (("a",), False)


@pytest.mark.parametrize("order", [1, -1])
def test_models_outside_outrank_them_whoever_was_first(order: int) -> None:
    outside = LabelEvent(EventKind.AUTO, "r1", ("a",), 1, "auto:gpt", purpose=Purpose.QUERY, origin="import#1")
    said = [outside, automatic_label("v1", "r1", "b", 0.9, 1)][::order]
    assert resolve(said, ["a", "b"], False)["r1"].labels == ("a",)


def test_a_text_is_kept_from_people_until_its_label_is_withdrawn(task: Task) -> None:
    first = _open(task)[0]
    write(task, "v1", [(first, "a", 0.75)])
    assert first not in _open(task)
    withdraw_automatic(task, ["v1"])
    assert first in _open(task)


def test_a_deleted_record_has_none_and_does_not_count_as_withdrawn(task: Task) -> None:
    first, second = _open(task)[:2]
    write(task, "v1", [(first, "a", 0.75), (second, "b", 0.5)])
    delete_records(task, [first], "me")
    assert given_by_version(task.labels.read().events) == {"v1": Given(1, 0)}
    withdraw_automatic(task, ["v1"])
    assert given_by_version(task.labels.read().events) == {"v1": Given(0, 1)}


def test_a_label_set_that_changes_renames_and_removes_them_too(task: Task) -> None:
    first, second = _open(task)[:2]
    write(task, "v1", [(first, "a", 0.75), (second, "b", 0.5)])
    labels = [{"name": "new", "renamed_from": "a"}, "c"]
    Tasks(task.store).apply(TaskSpec.model_validate({**VALUES, "labels": labels}), "me", migrate=True)
    task.refresh()
    assert exported(task) == {first: ("new", "v1", 0.75)}
    view = task.label_view()
    open_rows = askable(task, task.view(), view.events, (), lapsed=view.lapsed).open_rows
    assert second in {task.pool.read().record_ids[row] for row in open_rows}
    withdraw_automatic(task, ["v1"])
    assert not exported(task)


def test_those_below_a_raised_threshold_are_withdrawn_and_no_others(task: Task) -> None:
    first, second = _open(task)[:2]
    labels = [(first, "a", 0.75), (second, "b", 0.5)]
    write(task, "v1", labels)
    write(task, "v1", labels[:1], "run-2", 0.625)
    assert exported(task) == {first: ("a", "v1", 0.75)}
    write(task, "v1", labels)  # a controller that had slept
    assert exported(task) == {first: ("a", "v1", 0.75)}


def test_a_writer_that_is_killed_at_any_write_leaves_what_its_successor_completes() -> None:
    def labelled(kill: int | None) -> tuple[int, list[str]]:
        task, writes = task_of(SPEC), 0
        names = _open(task)
        store = task.store
        assert isinstance(store, MemoryStore)

        def after(operation: str, key: str) -> None:
            nonlocal writes
            if operation.startswith("put"):
                writes += 1
                if writes == kill:
                    raise Unavailable("killed")

        output = decided(task, "v2", [(name, "a", 0.75) for name in names[:5]], 0.5)
        write(task, "v1", [(name, "b", 0.5) for name in names[2:7]])
        store.after = after
        for _ in range(2):
            try:
                write_automatic(task, "run-1", output, NOW)
                withdraw_automatic(task, ["v1"])
            except Unavailable:
                continue
        store.after = None
        events = [(e.event, e.model_version, e.record_id, e.labels) for e in task.labels.read()]
        return writes, sorted(map(str, events))

    writes, expected = labelled(None)
    assert writes >= 3
    for kill in range(1, writes + 1):
        assert labelled(kill)[1] == expected


def test_a_training_waits_for_no_automatic_label_and_an_import_is_no_version_s(task: Task) -> None:
    counter = Counter(task)
    first, second = _open(task)[:2]
    task.import_labels([(Record(first, f"Text number {int(first[1:])}."), ["a"])], "train", "auto:gpt", auto=True)
    seq = task.labels.last_seq()
    write(task, "v1", [(second, "a", 0.75)])
    counts = counter.count(task.labels.read(), ())
    assert (counts.given_seq, counts.log.seq) == (seq, seq + 1)
    assert counts.training_labels == counts.imported_labels == {"a": 1, "b": 0}
    assert set(counts.given_by_version) == {"v1"}


def test_several_labels_per_text_are_refused() -> None:
    with pytest.raises(InvalidSpec, match="auto_label needs texts with one label each"):
        Tasks(MemoryStore()).apply(TaskSpec.model_validate({**VALUES, "multi_label": True}), "me")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"target_error": 0.1, "threshold": 0.9}, "not both"),
        ({"threshold": 0.9, "per_class": True}, "per_class needs"),
        ({"train": True}, "train needs"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        TaskSpec.model_validate({**VALUES, "auto_label": wrong})


def test_a_release_that_does_not_know_the_section_sees_no_difference_without_it() -> None:
    plain = TaskSpec.model_validate({name: value for name, value in VALUES.items() if name != "auto_label"})
    assert "auto_label" not in plain.model_dump()
    assert SPEC.auto_label.least_holdout == 45


@pytest.fixture
def task() -> Task:
    return task_of(SPEC)


def _open(task: Task) -> list[str]:
    view = task.pool.read()
    rows = askable(task, view, task.labels.read().events, ()).open_rows
    return [view.record_ids[row] for row in rows]
