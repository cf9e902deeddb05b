"""Labelling texts that no task has: by the teacher alone or by a student, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.context import JobContext
from jobs.label_file import label_texts, summary_of
from tests.unit.controller.turning import make_pool
from tests.unit.jobs.test_distillation import LABELS, KnowingTeacher, TaughtLoader
from tornio.errors import InvalidInput, InvalidSpec
from tornio.models.port import Scores
from tornio.registry import NodeCache
from tornio.spec import TaskSpec
from tornio.storage.memory import MemoryStore
from tornio.tasks import Tasks

pytestmark = pytest.mark.unit


class OneLabelTeacher(KnowingTeacher):
    """Gives the first label to every text."""

    def score(self, texts: Any, labels: Any, templates: Any, multi_label: bool = False) -> Scores:
        probabilities = np.tile(np.array([0.8, 0.1, 0.1], dtype=np.float32), (len(texts), 1))
        return Scores(np.log(probabilities), probabilities, np.zeros(len(texts), dtype=bool))


class Shelf:
    """A context with a teacher that knows the texts, and the texts."""

    def __init__(self, folder: Path, size: int = 120, teacher: type[KnowingTeacher] = KnowingTeacher) -> None:
        records, truth = make_pool(size)
        self.texts = [record.text for record in records]
        self.truth = {record.text: truth[record.record_id] for record in records}
        store = MemoryStore()
        cache = NodeCache(folder / "cache", store)
        loader = TaughtLoader(store, cache, "float32")
        loader.known = self.teacher = teacher(self.truth)
        self.job = JobContext(store, cache, loader, Tasks(store))

    def label(self, texts: list[str] | None = None, teacher_only: bool = False, **spec: Any) -> Any:
        given = TaskSpec.model_validate({"workspace": "w", "name": "t", "labels": list(LABELS), **spec})
        return label_texts(self.texts if texts is None else texts, given, self.job, teacher_only)


def right(shelf: Shelf, probabilities: Any) -> float:
    said = [LABELS[place] for place in probabilities.argmax(axis=1)]
    return float(np.mean([name == shelf.truth[text] for name, text in zip(said, shelf.texts, strict=True)]))


def test_a_student_learns_from_all_texts_and_no_text_is_held_out(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    labelled = shelf.label()
    assert labelled.metrics["texts"] == len(shelf.texts)
    assert right(shelf, labelled.probabilities) > right(shelf, labelled.teacher) + 0.05
    assert (labelled.source, labelled.taught_by) == ("student:few-shot:minilm", "teacher:test")


def test_the_teacher_alone_is_asked_once_for_each_text(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    first = shelf.label(teacher_only=True)
    assert (first.source, first.taught_by, first.metrics) == ("teacher:test", None, {})
    again = shelf.label(teacher_only=False)
    np.testing.assert_array_equal(again.teacher, first.probabilities)
    assert sorted(shelf.teacher.asked) == sorted(shelf.texts)


def test_other_descriptions_do_not_embed_again_and_other_labels_are_another_task(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.label(teacher_only=True)
    shelf.label(teacher_only=True, labels=[{"name": name, "description": "a thing"} for name in LABELS])
    assert len(list(shelf.job.tasks.names())) == 1
    shelf.label(shelf.texts[:30], teacher_only=True)
    assert len(list(shelf.job.tasks.names())) == 2


def test_too_few_texts_are_refused_before_the_teacher_is_asked(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, size=15)
    with pytest.raises(InvalidInput, match=r"at least 20 different texts for 3 labels.*--teacher-only"):
        shelf.label()
    assert shelf.teacher.asked == []
    assert len(shelf.label(teacher_only=True).probabilities) == 15


def test_what_no_student_can_learn_from_names_the_way_out(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, teacher=OneLabelTeacher)
    with pytest.raises(InvalidInput, match=r"gives the label 'fruit' to all 120 texts.*--teacher-only"):
        shelf.label()
    with pytest.raises(InvalidSpec, match=r"several are allowed.*--teacher-only"):
        shelf.label(multi_label=True)
    with pytest.raises(InvalidSpec, match=r"teacher\.kind is 'none'"):
        shelf.label(teacher_only=True, teacher={"kind": "none"})


def test_settings_of_the_student_come_from_the_spec(tmp_path: Path) -> None:
    training = {"method": "distillation", "settings": {"shares": [0.5]}}
    assert Shelf(tmp_path).label(training=training).metrics["rounds"] == 1
    assert Shelf(tmp_path).label(training={"method": "supervised"}).metrics["rounds"] == 5


def test_the_summary_counts_and_warns(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    spec = TaskSpec.model_validate({"workspace": "w", "name": "t", "labels": list(LABELS)})
    labelled = shelf.label()
    summary = summary_of(labelled, spec, below=0.5)
    assert sum(summary.counts.values()) == sum(summary.taught.values()) == summary.texts == 120
    assert summary.agreement == pytest.approx(labelled.metrics["teacher_agreement"])
    assert summary.unsure == int((labelled.probabilities.max(axis=1) < 0.5).sum())
    assert any("cannot be known" in line for line in summary.lines())
    alone = summary_of(Shelf(tmp_path, teacher=OneLabelTeacher).label(teacher_only=True), spec, below=0.9)
    assert alone.agreement is None
    assert alone.unsure == 120
    assert "all texts get the label 'fruit'" in alone.warnings()[0]
