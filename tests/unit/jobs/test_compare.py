"""A comparison over a task: which cells it has, what they learn from, and what is done again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import compare
from jobs.context import RunContext
from jobs.parts import InlineMapper
from jobs.slice_inputs import Corpus, SliceInputs
from tests.unit.controller.turning import quick_fit
from tests.unit.jobs.test_training_inputs import TeacherLoader, World
from tornio.api import CompareRequest, TaskName
from tornio.comparison.slices import judged_rows, nested_rows
from tornio.errors import BudgetSpent, Forbidden, InvalidInput, InvalidSpec
from tornio.records import Record
from tornio.registry import Encoders
from tornio.schemas.comparison import CompareArgs
from tornio.schemas.registry import EncoderDocument, EncoderUse
from tornio.schemas.runs import RunPlan, RunProgress
from tornio.spec import NoSettings
from tornio.tasks import Task

pytestmark = pytest.mark.unit
TASK = TaskName("w", "t")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def planned(world: World, **asked: Any) -> RunPlan:
    values = {"kinds": ("few-shot",), "sizes": ("2", "4"), "per_class": True, "seeds": 2, **asked}
    return compare.plan(CompareRequest.model_validate(values), TASK, world.job)


def done(world: World, plan: RunPlan) -> Any:
    return compare.run(CompareArgs.model_validate(plan.args), RunContext(world.job, plan, 1))


class EncoderTeachers(TeacherLoader):
    """A teacher of its own for each encoder, as the kind embedding has."""

    def teacher_digest(self, spec: Any, classifier: Any) -> str:
        return f"{spec.kind}-{classifier.encoder}"


class Watcher:
    """A mapper that notes what the teacher was asked before the first part."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.before: list[int] = []

    def run(self, stage: str, plan: RunPlan, parts: Any, done: Any) -> None:
        self.before = list(self.world.loader.counting.asked)
        InlineMapper(compare.STAGES, self.world.store, self.world.loader).run(stage, plan, parts, done)


def fails_with(world: World, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let the teacher fail."""

    def failing(*_: Any) -> None:
        raise error

    monkeypatch.setattr(world.loader.counting, "score", failing)


def cells_of(world: World, plan: RunPlan) -> list[str]:
    return [info.key for info in world.store.list(plan.run_keys.folder("cells"))]


def test_each_teacher_labels_the_pool_once_before_workers_begin(world: World) -> None:
    world.loader = EncoderTeachers(world.store, world.job.cache, "float32")
    world.job.loader = world.loader
    world.job.mapper = watcher = Watcher(world)
    said: list[RunProgress] = []
    world.job.watch = lambda _plan, progress: said.append(progress)
    with quick_fit():
        done(world, planned(world, methods=("supervised", "distillation"), encoders=("a", "b"), sizes=("2",)))
    assert watcher.before == [20, 40] * 3, "that of the task, and one for each encoder of the students"
    assert world.loader.counting.asked == watcher.before
    stages = [progress.stage for progress in said]
    assert stages == sorted(stages), "soft labels, then trainings"
    assert stages[0] == "soft labels"


def test_without_a_teacher_none_is_asked(tmp_path: Path) -> None:
    world = World(tmp_path, teacher={"kind": "none"})
    world.job.mapper = watcher = Watcher(world)
    with quick_fit():
        done(world, planned(world))
    assert watcher.before == world.loader.counting.asked == []


@pytest.mark.parametrize("error", [BudgetSpent("spent"), Forbidden("the key"), InvalidInput("4 of 20 texts")])
def test_a_teacher_that_fails_ends_the_run_and_is_no_result(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    with quick_fit():
        plan = planned(world)
        with monkeypatch.context() as patch:
            fails_with(world, patch, error)
            with pytest.raises(type(error)):
                done(world, plan)
        assert cells_of(world, plan) == []
        output = done(world, plan)
    assert not [row.errors for row in output.rows if row.errors]


@pytest.mark.parametrize("error", [BudgetSpent("spent"), Forbidden("the key")])
def test_what_an_operator_can_mend_is_never_the_result_of_a_training(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    with quick_fit():
        plan = planned(world)
        fails_with(world, monkeypatch, error)
        work = compare.CompareCell(plan, world.store, world.loader)
        with pytest.raises(type(error)):
            work.do(4 * (len(plan.args["contenders"]) - 1))  # the first of the teacher, which comes last
    assert cells_of(world, plan) == []


def test_each_contender_has_a_row_for_each_size_and_the_teacher_one(world: World) -> None:
    with quick_fit():
        output = done(world, planned(world))
    rows = {(row.contender, row.size): row for row in output.rows}
    assert {size for name, size in rows if name == "supervised, few-shot"} == {2, 4}
    assert {size for name, size in rows if name.startswith("teacher")} == {0}
    assert len(rows) == 4 * 2 + 1
    assert not [row.errors for row in output.rows if row.errors]
    assert rows["supervised, few-shot", 4].texts == 12
    table = pq.read_table(pa.BufferReader(world.store.get(output.results).body))
    assert len(table) == 2 * len(rows)
    assert b"supervised, few-shot" in world.store.get(output.report).body
    assert output.use_now.startswith("Use ")


def test_a_run_that_is_repeated_does_only_what_is_missing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with quick_fit():
        plan = planned(world)
        first = done(world, plan)
        monkeypatch.setattr(compare.CompareCell, "do", None)
        again = done(world, plan)
    assert again.rows == first.rows


def test_a_training_that_fails_is_shown_and_the_others_go_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ValueError("it is broken")

    with quick_fit(), monkeypatch.context() as patch:
        plan = planned(world)
        patch.setattr("tornio.training.fewshot.fit_few_shot", broken)
        output = done(world, plan)
    failed = [row for row in output.rows if row.errors]
    assert {row.contender for row in failed} == {"supervised, few-shot"}
    assert "it is broken" in failed[0].errors[0]
    assert output.rows[-1].micro_f1 is not None


def test_what_judges_and_the_hold_out_are_never_learned_from(world: World) -> None:
    with quick_fit():
        plan = planned(world)
    args, context = CompareArgs.model_validate(plan.args), RunContext(world.job, plan, 1)
    corpus = Corpus.of(args, context, world.spec)
    judged = judged_rows(corpus.targets, 0)
    rows = nested_rows(corpus.targets, np.setdiff1d(np.arange(len(corpus.data)), judged), 2, True, 0)
    names = [corpus.data.record_ids[row] for row in judged]
    inputs = SliceInputs(args, context, world.spec, NoSettings(), 0, corpus, rows, names)
    learned, free = set(inputs.training_set.record_ids), set(inputs.unlabelled.record_ids)
    assert len(learned) == 6
    assert not learned & free
    assert not (learned | free) & (set(names) | world.held_out())
    assert free == {record.record_id for record in world.records} - learned - set(names) - world.held_out()


def test_bad_requests_are_refused_before_anything_is_trained(world: World) -> None:
    with quick_fit():
        with pytest.raises(InvalidInput, match="asks for 64 per class"):
            planned(world, sizes=("64",))
        with pytest.raises(InvalidInput, match="whole numbers"):
            planned(world, sizes=("few",))
        with pytest.raises(InvalidSpec, match="there is no training method 'guessing'"):
            planned(world, methods=("guessing",))
        with pytest.raises(InvalidSpec, match="there is no model kind 'no-such-kind'"):
            planned(world, kinds=("no-such-kind",))


def test_labels_by_a_model_judge_nothing_and_copies_of_a_text_are_one(world: World) -> None:
    auto = [(Record(f"a{n}", f"automatic {n}"), ["fruit"]) for n in range(9)]
    world.task.import_labels(auto, "train", "model", auto=True)
    world.task.import_labels([(Record("copy", "TEXT  number 3"), ["fruit"])], "train", "test")
    with quick_fit():
        plan = planned(world)
    args, context = CompareArgs.model_validate(plan.args), RunContext(world.job, plan, 1)
    corpus = Corpus.of(args, context, world.spec)
    names = corpus.data.record_ids
    assert not {name for name in names if name.startswith("a")}
    assert len(names) == 20
    assert len({"copy", "r003"} & set(names)) == 1
    judged = [name for name in names if name in ("copy", "r003")]
    others = np.array([row for row, name in enumerate(names) if name not in judged])
    inputs = SliceInputs(args, context, world.spec, NoSettings(), 0, corpus, others, judged)
    assert not {"copy", "r003"} & set(inputs.unlabelled.record_ids)


class AdaptedLoader(TeacherLoader):
    """Each name is an encoder of its own, whose digest is made of the name."""

    def encoder_use(self, name: str, max_length: int) -> EncoderUse:
        return super().encoder_use(name, max_length).evolve(digest=name * 64)


def encoder(name: str, parent: str | None = None, run: str | None = None) -> EncoderDocument:
    return EncoderDocument(
        digest=name * 64, source="x", architecture="x", dimension=16, pooling="mean", normalise=False, max_length=128,
        files={}, parent=None if parent is None else parent * 64, run=run,
    )  # fmt: skip


def test_encoders_that_have_read_the_texts_that_judge_are_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    known = [
        encoder("0"),
        encoder("1", parent="0", run="adapt-here"),
        encoder("2", parent="1", run="adapt-elsewhere"),
        encoder("3", parent="0", run="adapt-elsewhere"),
    ]
    by_digest = {one.digest: one for one in known}
    world.task.store.put(world.task.keys.run("adapt-here").plan, b"{}")
    world.loader = world.job.loader = AdaptedLoader(world.store, world.job.cache, "float32")
    # Undone before quick_fit undoes its own, which it would otherwise outlive.
    with quick_fit(), monkeypatch.context() as patch:
        patch.setattr(Encoders, "get", lambda _self, digest: by_digest[digest])
        changes = {"classifier": world.spec.classifier.model_copy(update={"encoder": "0"})}
        patch.setattr(Task, "spec_at", lambda *_: world.spec.model_copy(update=changes))
        output = done(world, planned(world, encoders=("0", "1", "2", "3"), sizes=("2",)))
        said = "These base models were adapted to this task, and have read the texts that judge, without their labels"
        assert f"{said}, so their scores may be too high: 1, 2." in output.use_now
        assert said.encode() in world.store.get(output.report).body
        output = done(world, planned(world, encoders=("0", "3"), sizes=("2",)))
    assert "adapted" not in output.use_now
