"""From a pool without any label to a version that serves, with the real controller and the real jobs."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from jobs.context import JobContext
from jobs.running.execute import execute
from jobs.running.inline import InlineRunner
from services.classifier.answers import answer
from services.classifier.checkpoints import Checkpoints
from services.classifier.shelf import Serving
from services.controller.reconciler import Reconciler
from tests.unit.controller.turning import LABELS, InstantFleet, Turning, make_pool, quick_fit
from tests.unit.jobs.test_distillation import KnowingTeacher, TaughtLoader
from tornio.cli.views import status_view
from tornio.records import Record
from tornio.registry import CURRENT, NodeCache, Registry
from tornio.spec import TaskSpec, TeacherSpec
from tornio.status.snapshot import Reader
from tornio.status.task_status import task_status
from tornio.status.versions import read_versions
from tornio.tasks import Tasks

pytestmark = pytest.mark.unit
SPEC = TaskSpec.model_validate(
    {
        "workspace": "w",
        "name": "t",
        "labels": list(LABELS),
        "teacher": {"kind": "embedding"},
        "loop": {"batch_size": 6, "stop": {"max_iterations": 3}},
    }
)


def by_text() -> dict[str, str]:
    records, truth = make_pool()
    return {record.text: truth[record.record_id] for record in records}


class Taught(Turning):
    loader: TaughtLoader

    def controller(self) -> Reconciler:
        cache = NodeCache(self.folder, self.store)
        self.loader = TaughtLoader(self.store, cache, "float32")
        self.loader.known = KnowingTeacher(by_text())
        context = JobContext(self.store, cache, self.loader, Tasks(self.store))
        runner = InlineRunner(partial(execute, context=context))
        return Reconciler(
            self.store, self.task, self.annotation, runner, InstantFleet(self.store, self.task), self.clock
        )


TWO = {"kind": "combined", "members": [{"kind": "embedding"}, {"kind": "embedding", "templates": ["{}"]}]}


@pytest.mark.parametrize(
    ("teacher", "taught_by"), [(None, "teacher:test"), (TeacherSpec.model_validate(TWO), "teacher:combined:test+test")]
)
def test_a_task_with_a_teacher_and_a_pool_serves_a_version_that_says_who_taught_it(
    tmp_path: Path, teacher: TeacherSpec | None, taught_by: str
) -> None:
    with quick_fit():
        turning = Taught(tmp_path, spec=SPEC.model_copy(update={"teacher": teacher or SPEC.teacher}))
        turning.begin()
        assert turning.task.spec.loop.bootstrap == "teacher", "a new task with a teacher"
        controller = turning.controller()
        for _ in range(1000):
            look = controller.look()
            if look.state.batches:
                break
        registry = Registry(turning.store, turning.task.keys)
        alias = registry.alias(CURRENT)
        assert alias is not None
        assert alias.version.startswith("v0000-")
        manifest = registry.manifest(alias.version)
        assert (manifest.taught_by, manifest.iteration, manifest.counts["training_texts"]) == (taught_by, 0, 0)

        status = task_status(Reader(turning.store, turning.task).snapshot(), "away", datetime.now(UTC))
        assert status.serving is not None
        assert (status.serving.taught_by, status.serving.training_texts) == (taught_by, 0)
        (version,) = read_versions(Reader(turning.store, turning.task))
        assert (version.state, version.taught_by) == ("serving", taught_by)
        assert not any("cannot predict" in line for line in version.warnings)
        assert status_view(status) is not None

        (batch,) = turning.task.batches()
        assert batch.agent == alias.version
        assert all(item.suggestion for item in batch.items if item.purpose == "query")

        loaded = Checkpoints(turning.store, turning.loader).load("w/t", alias.version)
        serving = Serving(alias.version, alias.revision, loaded.model, loaded.taught_by)
        (prediction,) = answer(serving, ["apple pear"])
        assert prediction.taught_by == taught_by

        turning.turn(controller)
        assert [one.number for one in turning.task.iterations()] == [1, 2, 3]
        newest = registry.alias(CURRENT)
        assert newest is not None
        assert registry.manifest(newest.version).taught_by is None


def test_a_pool_that_cannot_be_taught_is_said_and_annotated_all_the_same(tmp_path: Path) -> None:
    with quick_fit():
        turning = Taught(tmp_path, spec=SPEC)
        Tasks(turning.store).apply(turning.spec, "test")
        records, turning.truth = make_pool(12)
        turning.task.add_records([Record(record.record_id, record.text) for record in records])
        controller = turning.controller()
        for _ in range(2000):
            look = controller.look()
            if look.state.batches:
                break
        assert "a teacher needs at least 20 texts" in look.standing.why
        assert look.state.batches
        assert Registry(turning.store, turning.task.keys).alias(CURRENT) is None
