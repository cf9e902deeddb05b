"""Making, changing and finding tasks, and what users ask of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tornio.changes import FieldChange
from tornio.errors import ChangeRefused, InvalidInput, InvalidSpec, NotFound
from tornio.labels.events import EventKind, LabelEvent
from tornio.records import Purpose, Record
from tornio.schemas.loop import LoopState
from tornio.schemas.task import Batch, BatchItem, Iteration, SpecDocument, TaskDocument
from tornio.spec import TaskSpec
from tornio.storage import documents
from tornio.storage.memory import MemoryStore
from tornio.tasks import Applied, Task, Tasks, holdout_set, training_set
from tornio.tasks.imports import Imported

pytestmark = pytest.mark.unit

NOW = datetime(2025, 1, 1, tzinfo=UTC)


def spec(name: str = "tickets", workspace: str = "care", **changes: Any) -> TaskSpec:
    return TaskSpec.model_validate({"workspace": workspace, "name": name, "labels": ["a", "b"], **changes})


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def task(store: MemoryStore) -> Task:
    Tasks(store).apply(spec(), "me")
    return Tasks(store).open("care", "tickets")


class TestApply:
    def test_makes_a_task(self, store: MemoryStore) -> None:
        assert Tasks(store).apply(spec(), "me") == Applied(created=True, spec_rev=1)
        task = Tasks(store).open("care", "tickets")
        assert task.spec == spec()
        assert (task.document.spec_rev, task.document.generation, task.document.label_set_rev) == (1, 1, 1)
        assert task.loop_state().iteration == 0
        assert documents.load(store, task.keys.spec(1), SpecDocument)[0].who == "me"

    def test_the_same_again_changes_nothing(self, store: MemoryStore) -> None:
        tasks = Tasks(store)
        tasks.apply(spec(), "me")
        before = list(store.list(""))
        assert tasks.apply(spec(), "you") == Applied(created=False, spec_rev=1)
        assert list(store.list("")) == before

    def test_a_new_task_with_a_teacher_is_bootstrapped_and_an_old_one_stays_as_it_is(self, store: MemoryStore) -> None:
        tasks = Tasks(store)

        def bootstrap(name: str) -> str | None:
            return tasks.open("care", name).spec.loop.bootstrap

        tasks.apply(spec("old"), "me")
        tasks.apply(spec("old", teacher={"kind": "embedding"}), "me")
        assert bootstrap("old") is None
        tasks.apply(spec("new", teacher={"kind": "embedding"}), "me")
        assert bootstrap("new") == "teacher"
        again = spec("new", teacher={"kind": "embedding"}, guidelines="Read.")
        assert [change.path for change in tasks.apply(again, "me").changes] == ["guidelines"]
        assert bootstrap("new") == "teacher"
        tasks.apply(spec("new", loop={"bootstrap": "none"}), "me")
        assert bootstrap("new") == "none"
        tasks.apply(spec("gone", teacher={"kind": "embedding"}), "me")
        tasks.apply(spec("gone", teacher={"kind": "none"}), "me")
        assert bootstrap("gone") is None
        tasks.apply(spec("several", teacher={"kind": "embedding"}, multi_label=True), "me")
        assert bootstrap("several") is None
        with pytest.raises(InvalidSpec, match=r"loop\.bootstrap is 'teacher', which needs a teacher"):
            tasks.apply(spec("none", teacher={"kind": "none"}, loop={"bootstrap": "teacher"}), "me")

    def test_a_task_made_twice_splits_the_same(self, store: MemoryStore) -> None:
        other = MemoryStore()
        for each in (store, other):
            Tasks(each).apply(spec(), "me")
        Tasks(store).apply(spec("another"), "me")
        keys = [Tasks(each).open("care", "tickets").document.holdout_key for each in (store, other)]
        assert keys[0] == keys[1]
        assert keys[0] != Tasks(store).open("care", "another").document.holdout_key

    def test_changes_are_a_new_revision(self, store: MemoryStore, task: Task) -> None:
        applied = Tasks(store).apply(spec(loop={"batch_size": 40}), "you")
        assert applied == Applied(False, 2, (FieldChange("loop.batch_size", 20, 40, "live"),))
        assert task.spec.loop.batch_size == 20, "as of the last refresh"
        task.refresh()
        assert task.spec.loop.batch_size == 40
        assert task.spec_at(1) == spec()

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"labels": ["a", "b", "c"]}, "its labels would change:\n'c' is new"),
            ({"multi_label": True}, "multi_label: false -> true cannot change in a task that exists"),
            ({"loop": {"seed": 1}}, "loop.seed: 0 -> 1 cannot change in a task that exists: create a new task"),
        ],
    )
    def test_refuses_what_a_living_task_cannot_change(
        self, store: MemoryStore, task: Task, change: dict[str, Any], says: str
    ) -> None:
        before = list(store.list(""))
        with pytest.raises(ChangeRefused, match=says):
            Tasks(store).apply(spec(guidelines="New.", **change), "me")
        assert list(store.list("")) == before

    def test_the_store_keeps_its_own_folders(self, store: MemoryStore) -> None:
        with pytest.raises(InvalidSpec, match="called 'blobs', because the store needs this name"):
            Tasks(store).apply(spec(workspace="blobs"), "me")

    @pytest.mark.parametrize("writes", [1, 2, 3])
    def test_cut_off_after_any_write_it_may_be_repeated(self, store: MemoryStore, writes: int) -> None:
        left = [writes]

        def kill(operation: str, key: str) -> None:
            if operation == "put_if_absent":
                left[0] -= 1
                if not left[0]:
                    raise ConnectionError

        store.after = kill
        with pytest.raises(ConnectionError):
            Tasks(store).apply(spec(), "me")
        store.after = None
        applied = Tasks(store).apply(spec(), "me")
        assert applied == Applied(created=writes < 3, spec_rev=1)
        assert Tasks(store).open("care", "tickets").loop_state().iteration == 0

    def test_two_who_make_it_at_once_make_one(self, store: MemoryStore) -> None:
        def race(operation: str, key: str) -> None:
            if operation == "put_if_absent":
                store.before = None
                Tasks(store).apply(spec(guidelines="Theirs."), "them")

        store.before = race
        applied = Tasks(store).apply(spec(guidelines="Ours."), "us")
        assert (applied.created, applied.spec_rev) == (False, 2), "changed what they had made"
        assert Tasks(store).open("care", "tickets").spec.guidelines == "Ours."

    def test_two_who_change_it_at_once_both_do(self, store: MemoryStore, task: Task) -> None:
        def race(operation: str, key: str) -> None:
            if operation == "put_if_match":
                store.before = None
                Tasks(store).apply(spec(loop={"batch_size": 30}), "them")

        store.before = race
        Tasks(store).apply(spec(loop={"batch_size": 40}), "us")
        task.refresh()
        assert task.spec.loop.batch_size == 40
        assert {task.spec_at(rev).loop.batch_size for rev in range(1, task.document.spec_rev + 1)} == {20, 30, 40}

    def test_fields_of_a_later_release_survive(self, store: MemoryStore, task: Task) -> None:
        raw = documents.load(store, task.keys.spec(1), SpecDocument)[0].spec
        raw["loop"]["mood"] = "calm"
        later = SpecDocument(rev=2, spec=raw | {"budget": 9}, who="later", created_at=NOW)
        documents.create(store, task.keys.spec(2), later)
        documents.update(store, task.keys.document, TaskDocument, lambda document: document.evolve(spec_rev=2))
        assert Tasks(store).apply(spec(guidelines="New."), "me").spec_rev == 3
        written = documents.load(store, task.keys.spec(3), SpecDocument)[0].spec
        assert (written["budget"], written["loop"]["mood"], written["guidelines"]) == (9, "calm", "New.")


class TestFind:
    def test_names(self, store: MemoryStore) -> None:
        tasks = Tasks(store)
        assert list(tasks.names()) == []
        names = [("a", "t"), ("a", "t-2"), ("a", "t0"), ("a-b", "x"), ("b", "t"), ("zebra", "t")]
        for workspace, name in reversed(names):
            tasks.apply(spec(name, workspace), "me")
        for key in ("a", "blobs/1", "blobs/2", "encoders/x.json", "a/runs/r1/plan.json", "c/tasks/half/specs/1.json"):
            store.put(key, b"{}")
        assert sorted(tasks.names()) == names

    def test_names_skips_what_a_task_holds(self, store: MemoryStore, task: Task) -> None:
        for number in range(50):
            store.put(f"{task.keys.root}runs/{number}/plan.json", b"{}")
        Tasks(store).apply(spec("zoo"), "me")
        asked: list[str] = []
        store.before = lambda operation, key: asked.append(operation)
        assert len(list(Tasks(store).names())) == 2
        assert sorted(asked) == ["folders", "folders", "head", "head"], "a listing a workspace, and a look a task"
        asked.clear()
        assert len(list(Tasks(store).names(known=[("care", "zoo"), ("care", "tickets")]))) == 2
        assert asked == ["folders", "folders"]

    def test_an_unknown_task_comes_with_advice(self, store: MemoryStore) -> None:
        with pytest.raises(NotFound, match=r"The task care/tickets does not exist\. Create it with `tornio apply"):
            Tasks(store).open("care", "tickets")

    def test_opening_again_reads_what_has_moved(self, store: MemoryStore, task: Task) -> None:
        tasks = Tasks(store)
        first = tasks.open("care", "tickets")
        Tasks(store).apply(spec(guidelines="New."), "me")
        assert tasks.open("care", "tickets") is first
        assert first.spec.guidelines == "New."


class TestAsks:
    def test_pause_hold_resume(self, task: Task) -> None:
        assert task.pause().paused
        assert task.hold("rolled back").hold == "rolled back"
        assert task.loop_state().asks.paused
        resumed = task.resume()
        assert (resumed.paused, resumed.hold) == (False, None)

    def test_train_now_counts(self, task: Task) -> None:
        task.train_now()
        assert task.train_now().train_now == 2

    def test_what_the_controller_writes_meanwhile_stays(self, store: MemoryStore, task: Task) -> None:
        def race(operation: str, key: str) -> None:
            if operation == "put_if_match":
                store.before = None
                documents.update(store, task.keys.loop, LoopState, lambda state: state.evolve(iteration=7))

        store.before = race
        task.pause()
        state = task.loop_state()
        assert (state.asks.paused, state.iteration) == (True, 7)


def test_batches_and_iterations_are_read_once(store: MemoryStore, task: Task) -> None:
    item = BatchItem(record_id="r1", purpose=Purpose.QUERY)
    for generation, number in [(1, 2), (1, 1), (10, 1), (2, 1)]:
        name = f"g{generation}-b{number:04d}"
        batch = Batch(
            batch=name,
            number=number,
            generation=generation,
            dataset="tickets",
            items=(item,),
            strategy="random",
            run="query-1",
            created_at=NOW,
        )
        documents.create(store, task.keys.batch(name), batch)
    iteration = Iteration(
        number=1,
        generation=1,
        batches=(),
        label_seq=1,
        pool_seq=1,
        spec_rev=1,
        labels={},
        train_run="train-1",
        started_at=NOW,
        finished_at=NOW,
    )
    documents.create(store, task.keys.iteration(1), iteration)
    assert [batch.batch for batch in task.batches()] == ["g1-b0001", "g1-b0002", "g2-b0001", "g10-b0001"]
    assert [one.number for one in task.iterations()] == [1]
    fetched: list[str] = []
    store.before = lambda operation, key: fetched.append(key) if operation == "get" else None
    assert len(task.batches()) == 4
    assert len(task.iterations()) == 1
    assert fetched == []


class TestImport:
    def test_adds_records_and_labels(self, task: Task) -> None:
        items = [(Record("r1", "one"), ["a"]), (Record("r2", "two"), ["b"])]
        assert task.import_labels(items, "train", "import:x.csv") == Imported(2, 0, 2, 1)
        events = task.labels.read().events
        assert [(e.event, e.record_id, e.labels, e.purpose, e.source) for e in events] == [
            (EventKind.IMPORT, "r1", ("a",), Purpose.QUERY, "import:x.csv"),
            (EventKind.IMPORT, "r2", ("b",), Purpose.QUERY, "import:x.csv"),
        ]

    def test_says_only_what_is_new(self, task: Task) -> None:
        items = [(Record("r1", "one"), ["a"]), (Record("r2", "two"), ["b"])]
        task.import_labels(items, "train", "s")
        assert task.import_labels(items, "train", "s") == Imported(0, 2, 0, None)
        changed = [(Record("r1", "one"), ["b"]), items[1]]
        assert task.import_labels(changed, "train", "s") == Imported(1, 1, 0, 2, replaced=1)
        assert task.import_labels(items, "train", "s").imported == 1, "a label may flip back"

    def test_the_hold_out_stays_when_all_labels_are_exported_and_imported_again(self, task: Task) -> None:
        task.import_labels([(Record("r1", "one"), ["a"])], "train", "s")
        task.import_labels([(Record("r2", "two"), ["b"])], "holdout", "s")
        everything = [(Record("r1", "one"), ["a"]), (Record("r2", "two"), ["b"]), (Record("copy", "Two "), ["b"])]
        assert task.import_labels(everything, "train", "s") == Imported(0, 1, 0, None, judges=2)
        assert holdout_set(task, 2, 2).record_ids == ("r2",)

    def test_texts_that_train_are_left_out_of_the_hold_out(self, task: Task) -> None:
        task.import_labels([(Record("r1", "one"), ["a"])], "train", "s")
        judging = [(Record("r1", "one"), ["b"]), (Record("copy", "One "), ["b"]), (Record("r2", "two"), ["b"])]
        assert task.import_labels(judging, "holdout", "s") == Imported(1, 0, 1, 2, trains=2)
        assert training_set(task, 2, 2).labels == (("a",),), "the label that was meant to judge does not train"
        assert holdout_set(task, 2, 2).record_ids == ("r2",)
        assert task.import_labels(judging, "holdout", "s") == Imported(0, 1, 0, None, trains=2)

    def test_hold_out_texts_that_had_automatic_labels_are_counted(self, task: Task) -> None:
        task.add_records([Record("r1", "one"), Record("r2", "two")])
        task.labels.append([LabelEvent(EventKind.AUTO, "r1", ("a",), 1, "teacher", model_version="v1")])
        items = [(Record("r1", "one"), ["a"]), (Record("r2", "two"), ["b"])]
        assert task.import_labels(items, "holdout", "s") == Imported(2, 0, 0, 2, seen=1)
        assert training_set(task, 2, 1).record_ids == ()

    def test_a_request_that_is_sent_again_is_written_once(self, task: Task) -> None:
        item = (Record("r1", "one"), ["a"])
        task.import_labels([item], "train", "s", request="q1")
        task.import_labels([(item[0], ["b"])], "train", "s", request="q2")
        assert task.import_labels([item], "train", "s", request="q1").label_seq is None

    @pytest.mark.parametrize(
        ("items", "says"),
        [
            ([("r1", ["a"]), ("r2", ["spam", "eggs"])], r"row 2 \('r2'\): the task has no label 'spam', 'eggs'"),
            ([("r1", ["a", "b"])], "exactly one label is needed, found 2"),
            ([("r1", [])], "exactly one label is needed, found 0"),
            ([("r1", ["a"]), ("r1", ["b"])], "row 2 .*: row 1 gives the same record other labels"),
            ([("r1", ["x"])] * 12, "and 2 more\nlabels of care/tickets: a, b"),
        ],
    )
    def test_refuses_what_does_not_fit_and_writes_nothing(
        self, store: MemoryStore, task: Task, items: list[tuple[str, list[str]]], says: str
    ) -> None:
        before = list(store.list(""))
        with pytest.raises(InvalidInput, match=says):
            task.import_labels([(Record(name, "text"), labels) for name, labels in items], "train", "s")
        assert list(store.list("")) == before

    def test_several_labels_are_kept_in_the_order_of_the_task(self, store: MemoryStore) -> None:
        Tasks(store).apply(spec("multi", multi_label=True), "me")
        task = Tasks(store).open("care", "multi")
        task.import_labels([(Record("r1", "x"), ["b", "a"]), (Record("r2", "y"), [])], "train", "s")
        assert [event.labels for event in task.labels.read()] == [("a", "b"), ()]
        with pytest.raises(InvalidInput, match="a label is given twice"):
            task.import_labels([(Record("r3", "z"), ["a", "a"])], "train", "s")
