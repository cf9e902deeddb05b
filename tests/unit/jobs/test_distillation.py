"""The method distillation as a training: what it learns from, what it may not see, and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.context import JobContext, RunContext
from jobs.training_inputs import RunInputs
from tests.unit.controller.turning import HashLoader, make_pool, quick_fit
from tornio.errors import InvalidInput, InvalidSpec
from tornio.models.port import Scores
from tornio.registry import NodeCache
from tornio.schemas.jobs import TrainArgs
from tornio.schemas.runs import RunPlan
from tornio.spec import LabelSpec, TaskSpec
from tornio.storage.memory import MemoryStore
from tornio.tasks import Tasks, reserve
from tornio.training.hooks import Hooks
from tornio.training.methods import METHODS, check_training

pytestmark = pytest.mark.unit
LABELS = ("fruit", "metal", "river")


class KnowingTeacher:
    """Knows the truth of two texts in three, and remembers which texts it was asked about."""

    name = "teacher:test"

    def __init__(self, truth: dict[str, str]) -> None:
        self.truth = truth
        self.asked: list[str] = []
        self.silent: set[str] = set()

    def score(
        self, texts: Sequence[str], labels: Sequence[LabelSpec], templates: Sequence[str], multi_label: bool = False
    ) -> Scores:
        self.asked += texts
        columns = [LABELS.index(self.truth[text]) if hash_of(text) % 3 else hash_of(text) % 2 for text in texts]
        probabilities = np.full((len(texts), 3), 0.2, dtype=np.float32)
        probabilities[np.arange(len(texts)), columns] = 0.6
        probabilities[[row for row, text in enumerate(texts) if text in self.silent]] = np.nan
        return Scores(np.log(probabilities), probabilities, np.zeros(len(texts), dtype=bool))


def hash_of(text: str) -> int:
    return sum(text.encode())


class TaughtLoader(HashLoader):
    known: KnowingTeacher

    def teacher(self, spec: Any, classifier: Any) -> Any:
        return super().teacher(spec, classifier) if spec.combines else self.known

    def teacher_digest(self, spec: Any, classifier: Any) -> str:
        return super().teacher_digest(spec, classifier) if spec.combines else "test"


class Scene:
    """A task of so many unlabelled texts with a teacher, and the inputs of a training on it."""

    def __init__(self, folder: Path, size: int = 120, labelled: int = 0, **training: Any) -> None:
        store = MemoryStore()
        values = {"workspace": "w", "name": "t", "labels": list(LABELS)}
        self.spec = TaskSpec.model_validate({**values, "training": {"method": "distillation", **training}})
        Tasks(store).apply(self.spec, "test")
        self.task = Tasks(store).open("w", "t")
        records, truth = make_pool(size)
        self.truth = {record.record_id: truth[record.record_id] for record in records}
        by_text = {record.text: truth[record.record_id] for record in records}
        if labelled:
            pairs = [(record, [self.truth[record.record_id]]) for record in records[:labelled]]
            self.task.import_labels(pairs, "train", "test")
        self.task.add_records(records[labelled:])
        cache = NodeCache(folder / "cache", store)
        loader = TaughtLoader(store, cache, "float32")
        loader.known = self.teacher = KnowingTeacher(by_text)
        self.job = JobContext(store, cache, loader, Tasks(store))

    def inputs(self) -> RunInputs[Any]:
        args = TrainArgs(
            generation=1, iteration=0, label_seq=self.task.labels.read().seq, pool_seq=self.task.pool.read().seq,
            spec_rev=1, parent=None,
        )  # fmt: skip
        context = RunContext(self.job, RunPlan.of("train", "w", "t", args), 1)
        return RunInputs(args, context, self.spec, METHODS.get("distillation").settings_of(self.spec))


def fit(inputs: RunInputs[Any], out: Path) -> Any:
    out.mkdir()
    with quick_fit():
        return METHODS.get("distillation").fit(inputs, out, Hooks())


def test_a_student_learns_without_any_label_and_never_from_the_hold_out(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    inputs = scene.inputs()
    model = fit(inputs, tmp_path / "out")
    view = scene.task.pool.read()
    truth = np.array([LABELS.index(scene.truth[record_id]) for record_id in view.record_ids])
    taught = inputs.soft_labels(view.record_ids).argmax(axis=1)
    student = model.predict_proba(view.texts).argmax(axis=1)
    assert np.mean(student == truth) > np.mean(taught == truth) + 0.05
    held = reserve(scene.task, view, ())
    assert held
    assert model.head.metrics["texts"] == len(view) - len(held)
    assert model.head.metrics["examples"] == 0


def test_labels_of_people_are_learned_too(tmp_path: Path) -> None:
    model = fit(Scene(tmp_path, labelled=30, settings={"label_weight": 3, "shares": [0.5]}).inputs(), tmp_path / "out")
    assert model.head.metrics["examples"] == 30
    assert model.head.metrics["rounds"] == 1


@pytest.mark.parametrize(("size", "labelled"), [(120, 90), (120, 105), (60, 60)])
def test_a_student_goes_on_learning_when_nearly_all_texts_have_a_label(
    tmp_path: Path, size: int, labelled: int
) -> None:
    model = fit(Scene(tmp_path, size=size, labelled=labelled).inputs(), tmp_path / "out")
    assert model.head.metrics["texts"] >= 20


def test_a_pool_that_is_too_small_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="a teacher needs at least 20 texts"):
        fit(Scene(tmp_path, size=15).inputs(), tmp_path / "out")


def test_what_cannot_be_taught_is_said_before_workers_start(tmp_path: Path) -> None:
    scene = Scene(tmp_path, size=15)
    scene.spec = TaskSpec.model_validate({**scene.spec.model_dump(), "classifier": {"kind": "fine-tuned"}})
    with quick_fit(), pytest.raises(InvalidInput, match="a teacher needs at least 20 texts"):
        METHODS.get("distillation").spreads(scene.inputs())


def test_a_spec_that_cannot_be_taught_is_refused_when_it_is_applied() -> None:
    values = {"workspace": "w", "name": "t", "labels": ["a", "b"], "training": {"method": "distillation"}}
    check_training(TaskSpec.model_validate(values))
    with pytest.raises(InvalidSpec, match=r"teacher\.kind is 'none'"):
        check_training(TaskSpec.model_validate({**values, "teacher": {"kind": "none"}}))
    with pytest.raises(InvalidSpec, match="multi_label is true"):
        check_training(TaskSpec.model_validate({**values, "multi_label": True}))
    with pytest.raises(InvalidSpec, match=r"training\.settings\.shares"):
        check_training(
            TaskSpec.model_validate({**values, "training": {"method": "distillation", "settings": {"shares": [1.5]}}})
        )
