"""What training methods learn from, and the soft labels that a label run and a training share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import label, query
from jobs.context import JobContext, RunContext
from jobs.training_inputs import RunInputs
from tests.unit.controller.turning import HashLoader, quick_fit
from tornio.errors import InvalidInput
from tornio.labels.events import EventKind, LabelEvent
from tornio.models.port import Scores
from tornio.records import Purpose, Record
from tornio.registry import NodeCache
from tornio.schemas.jobs import LabelArgs, QueryArgs, TrainArgs
from tornio.schemas.runs import RunPlan
from tornio.spec import LabelSpec, NoSettings, TaskSpec
from tornio.storage.memory import MemoryStore
from tornio.tasks import Tasks, holdout_set, reserve
from tornio.tasks.proposals import proposals

pytestmark = pytest.mark.unit
LABELS = ("fruit", "metal", "river")


class CountingTeacher:
    """Knows the number in a text, and remembers how many texts it was asked for."""

    name = "teacher:test"

    def __init__(self) -> None:
        self.asked: list[int] = []

    def score(
        self, texts: Sequence[str], labels: Sequence[LabelSpec], templates: Sequence[str], multi_label: bool = False
    ) -> Scores:
        self.asked.append(len(texts))
        first = np.array([int(text.split()[-1]) / 1000 for text in texts], dtype=np.float32)
        probabilities = np.stack([first, (1 - first) / 2, (1 - first) / 2], axis=1).astype(np.float32)
        return Scores(np.log(probabilities + 1e-9), probabilities, np.zeros(len(texts), dtype=bool))


class TeacherLoader(HashLoader):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.counting = CountingTeacher()

    def teacher(self, spec: Any, classifier: Any) -> Any:
        if spec.kind == "none":
            return super().teacher(spec, classifier)
        return self.counting

    def teacher_digest(self, spec: Any, classifier: Any) -> str:
        return f"{spec.kind}-{spec.model}"


class World:
    """A task of 60 records, of which 20 are labelled, and a context to run jobs in."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.store = MemoryStore()
        values = {"workspace": "w", "name": "t", "labels": list(LABELS), **changes}
        self.spec = TaskSpec.model_validate(values)
        Tasks(self.store).apply(self.spec, "test")
        self.task = Tasks(self.store).open("w", "t")
        self.records = [Record(f"r{i:03d}", f"text number {i}") for i in range(60)]
        imported = [(record, [LABELS[i % 3]]) for i, record in enumerate(self.records[:20])]
        self.task.import_labels(imported, "train", "test")
        self.task.add_records(self.records[20:])
        cache = NodeCache(folder, self.store)
        self.loader = TeacherLoader(self.store, cache, "float32")
        self.job = JobContext(self.store, cache, self.loader, Tasks(self.store))

    @property
    def pool_seq(self) -> int:
        return self.task.pool.read().seq

    def context(self, args: Any) -> RunContext:
        return RunContext(self.job, RunPlan.of("train", "w", "t", args), 1)

    def inputs(self, iteration: int = 1) -> RunInputs[NoSettings]:
        args = TrainArgs(
            generation=1,
            iteration=iteration,
            label_seq=self.task.labels.read().seq,
            pool_seq=self.pool_seq,
            spec_rev=1,
            parent=None,
        )
        return RunInputs(args, self.context(args), self.spec, NoSettings())

    def held_out(self) -> set[str]:
        view = self.task.pool.read()
        return set(reserve(self.task, view, self.task.labels.read().events))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_labelled_texts_have_hard_targets(world: World) -> None:
    labelled = world.inputs().labelled
    assert labelled.record_ids == tuple(record.record_id for record in world.records[:20])
    assert labelled.texts[7] == "text number 7"
    assert labelled.targets[7].tolist() == [0, 1, 0]
    assert set(labelled.weights.tolist()) == {1.0}


def test_the_unlabelled_pool_is_the_rest_without_the_hold_out_and_the_deleted(world: World) -> None:
    held = world.held_out()
    free = [record.record_id for record in world.records[20:] if record.record_id not in held]
    assert held
    assert list(world.inputs().unlabelled.record_ids) == free
    world.task.labels.append([LabelEvent(EventKind.TOMBSTONE, free[0], (), 1, "test")])
    unlabelled = world.inputs().unlabelled
    assert list(unlabelled.record_ids) == free[1:]
    assert unlabelled.texts[0] == f"text number {int(free[1][1:])}"


def test_a_record_that_was_shown_as_hold_out_is_never_unlabelled(world: World) -> None:
    answered = sorted(world.held_out())[0]
    discard = LabelEvent(EventKind.DISCARD, answered, (), 1, "argilla", annotator="a", purpose=Purpose.HOLDOUT)
    world.task.labels.append([discard])
    text = next(record.text for record in world.records if record.record_id == answered)
    world.task.import_labels([(Record("copy", text), ["fruit"])], "train", "test")
    assert answered not in world.held_out(), "the import has taken the text out of the reserve"
    assert answered not in world.inputs().unlabelled.record_ids


def test_a_copy_of_a_labelled_text_is_no_text_without_a_label(world: World) -> None:
    before = world.inputs().unlabelled.record_ids
    world.task.add_records([Record("copy", "TEXT number 3")], duplicates=True)
    assert world.inputs().unlabelled.record_ids == before


def test_embeddings_come_in_the_order_that_is_asked_for(world: World) -> None:
    inputs = world.inputs()
    with quick_fit():
        both = inputs.embeddings(["r021", "r003"])
        assert both.shape == (2, 16)
        np.testing.assert_array_equal(both[::-1], inputs.embeddings(["r003", "r021"]))


def test_soft_labels_are_computed_once_whoever_needs_them_first(world: World) -> None:
    ids = world.inputs().unlabelled.record_ids
    soft = world.inputs().soft_labels(ids)
    assert soft.dtype == np.float32
    np.testing.assert_allclose(soft[:, 0], [int(record_id[1:]) / 1000 for record_id in ids], atol=1e-6)
    np.testing.assert_allclose(soft.sum(axis=1), 1, atol=1e-6)
    asked = sum(world.loader.counting.asked)
    assert asked == 60
    args = LabelArgs(pool_seq=world.pool_seq, spec_rev=1)
    output = label.run(args, world.context(args))
    assert (output.records, output.agent, sum(world.loader.counting.asked)) == (60, "teacher:test", asked)
    world.task.add_records([Record("new", "text number 500")])
    assert world.inputs().soft_labels(["new"])[0].tolist() == pytest.approx([0.5, 0.25, 0.25])
    assert world.loader.counting.asked[-1] == 1, "only the new part"


def test_a_label_run_writes_every_class_with_the_names_in_the_footer(world: World) -> None:
    args = LabelArgs(pool_seq=world.pool_seq, spec_rev=1)
    output = label.run(args, world.context(args))
    tables = [pq.read_table(pa.BufferReader(world.store.get(info.key).body)) for info in world.store.list(output.key)]
    rows = {row["record_id"]: row["probabilities"] for table in tables for row in table.to_pylist()}
    assert set(rows) == {record.record_id for record in world.records}
    assert rows["r040"] == pytest.approx([0.04, 0.48, 0.48])
    notes = tables[0].schema.metadata
    assert notes[b"labels"].decode() == '["fruit", "metal", "river"]'
    assert notes[b"teacher"] == b"teacher:test"
    assert notes[b"tornio"] == b"soft-labels/1"


def test_damaged_soft_labels_are_computed_again(world: World) -> None:
    before = world.inputs().soft_labels(["r040"])
    key = next(info.key for info in world.store.list("w/tasks/t/soft-labels/"))
    world.store.put(key, b"damaged")
    np.testing.assert_array_equal(world.inputs().soft_labels(["r040"]), before)


def test_other_labels_or_another_teacher_have_soft_labels_of_their_own(tmp_path: Path) -> None:
    changes: tuple[dict[str, Any], ...] = (
        {},
        {"teacher": {"kind": "nli", "model": "m"}},
        {"teacher": {"templates": ["{}!"]}},
        {"multi_label": True},
    )
    worlds = [World(tmp_path / str(number), **values) for number, values in enumerate(changes)]
    folders = set()
    for world in worlds:
        args = LabelArgs(pool_seq=world.pool_seq, spec_rev=1)
        folders.add(label.run(args, world.context(args)).key)
    assert len(folders) == len(worlds)


def test_no_teacher_no_soft_labels(tmp_path: Path) -> None:
    world = World(tmp_path, teacher={"kind": "none"})
    with pytest.raises(InvalidInput, match="no teacher"):
        world.inputs().soft_labels(["r001"])
    args = LabelArgs(pool_seq=world.pool_seq, spec_rev=1)
    with pytest.raises(InvalidInput, match=r"set teacher.kind in task.yaml to one of"):
        label.run(args, world.context(args))


def test_the_task_s_seed_decides_trainings_and_batches(tmp_path: Path) -> None:
    worlds = [World(tmp_path / str(seed), loop={"seed": seed}) for seed in (0, 1)]
    assert worlds[0].inputs().seed == World(tmp_path / "same").inputs().seed
    assert worlds[0].inputs().seed != worlds[1].inputs().seed
    assert worlds[0].inputs(1).seed != worlds[0].inputs(2).seed
    batches = []
    for world in worlds:
        args = QueryArgs(
            batch="g1-b0001",
            number=1,
            generation=1,
            version=None,
            label_seq=world.task.labels.read().seq,
            pool_seq=world.pool_seq,
            spec_rev=1,
        )
        batches.append([item.record_id for item in query.run(args, world.context(args)).items])
    assert batches[0] != batches[1]


def test_held_out_labels_are_not_among_the_labelled(world: World) -> None:
    world.task.import_labels([(Record("h", "text number 900"), ["river"])], "holdout", "test")
    seq = world.task.labels.read().seq
    assert "h" in holdout_set(world.task, seq, world.pool_seq).record_ids
    inputs = world.inputs()
    assert "h" not in (*inputs.labelled.record_ids, *inputs.unlabelled.record_ids)


def test_proposals_are_the_decided_labels_with_their_probabilities() -> None:
    probabilities = np.array([[0.61234, 0.38766], [0.2, 0.8]], dtype=np.float32)
    one, two = proposals(probabilities, ("a", "b"), False)
    assert (one.labels, one.scores) == (("a",), (0.6123,))
    assert (two.labels, two.scores) == (("b",), (0.8,))
    several = proposals(np.array([[0.9, 0.7], [0.1, 0.2]], np.float32), ("a", "b"), True)
    assert [part.labels for part in several] == [("a", "b"), ()]
    assert several[0].scores == (0.9, 0.7)


def test_crowdlab_decides_on_training_labels_and_never_on_the_hold_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two annotators disagree on every fourth text, and on a text of the hold-out."""
    monkeypatch.setattr("tornio.tasks.answers.ENOUGH", 20)
    world = World(tmp_path, annotation={"min_submitted": 2, "consensus": "crowdlab"})
    held = world.held_out()
    asked = [record.record_id for record in world.records[20:] if record.record_id not in held][:30]
    when = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [(name, number, Purpose.QUERY) for number, name in enumerate(asked)] + [(min(held), 0, Purpose.HOLDOUT)]
    events = [
        LabelEvent(
            EventKind.ANSWER, name, (LABELS[(number + (who == "ben" and number % 4 == 0)) % 3],), 1, "argilla",
            annotator=who, response_updated_at=when, purpose=purpose,
        )
        for name, number, purpose in rows for who in ("ada", "ben")
    ]  # fmt: skip
    world.task.labels.append(events, after=world.task.labels.last_seq())
    inputs = world.inputs()
    digits = {record.record_id: np.eye(3, dtype=np.float32)[number % 3] for number, record in enumerate(world.records)}
    digits |= {name: np.eye(3, dtype=np.float32)[number % 3] for number, name in enumerate(asked)}
    layered = SimpleNamespace(embeddings=lambda names: np.stack([digits[name] for name in names]))
    monkeypatch.setitem(inputs.__dict__, "layered", layered)
    labelled = dict(zip(inputs.training_set.record_ids, inputs.training_set.labels, strict=True))
    assert set(labelled) == {*asked, *(record.record_id for record in world.records[:20])}
    assert [labelled[name] for name in asked] == [(LABELS[number % 3],) for number in range(30)]
    assert inputs.consensus == {"consensus_texts": 30, "consensus_changed": 8}
    assert not set(inputs.unlabelled.record_ids) & {*asked, *held}
    seq = world.task.labels.read().seq
    assert holdout_set(world.task, seq, world.pool_seq).disputed == 1
