"""The example package of the how-to page trains a version, and a package that is gone fails its run alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.swapping.workshop import tiny_encoder
from jobs.context import JobContext
from jobs.running.execute import execute, plan_job
from jobs.running.measuring import Measure
from jobs.running.placement import size
from tests.learning import NAMES, examples, labelled_task
from tests.plugins import installed
from tornio.api import TaskName
from tornio.errors import InvalidInput, InvalidSpec, MissingPlugin
from tornio.models.fewshot import FewShotModel
from tornio.registry import Registry
from tornio.schemas.jobs import TrainArgs, TrainOutput
from tornio.schemas.runs import RunFailure, RunPlan
from tornio.storage import documents
from tornio.storage.memory import MemoryStore
from tornio.tasks import Task
from tornio.training.methods import METHODS, check_training

pytestmark = pytest.mark.model
EXAMPLE = "training_method"
TRAINING = {"method": "nearest-centroid", "settings": {"sharpness": 20}}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def context(tmp_path: Path) -> JobContext:
    return JobContext.over(MemoryStore(), tmp_path / "node", "float32")


def train_plan(task: Task, spec_rev: int = 1) -> RunPlan:
    args = TrainArgs(
        generation=1,
        iteration=1,
        label_seq=task.labels.read().seq,
        pool_seq=task.pool.read().seq,
        spec_rev=spec_rev,
        parent=None,
    )
    return plan_job("train", TaskName("w", "t"), args.model_dump_json())


def test_the_example_package_trains_a_version(context: JobContext, base: Path, tmp_path: Path) -> None:
    with installed(EXAMPLE, tmp_path / "site"):
        assert "nearest-centroid" in METHODS.names
        task = labelled_task(context.store, base, 30, training=TRAINING)
        check_training(task.spec)
        plan = train_plan(task)
        output = TrainOutput.model_validate(execute(plan, 1, context).output)
        assert size(plan, Measure(context.store)(plan)) == 0, "every text is embedded"
    manifest = Registry(context.store, task.keys).manifest(output.version)
    assert (manifest.kind, manifest.metrics) == ("few-shot", {"examples": 30.0})
    assert (output.texts, sum(output.labels.values())) == (30, 30)
    assert manifest.counts == {
        "training_texts": 30,
        "training_labels": 30,
        "holdout_imported": 0,
        "holdout_annotators": 0,
    }
    model = JobContext.over(context.store, tmp_path / "other", "float32").loader.model(manifest)
    assert isinstance(model, FewShotModel)
    texts, labels = examples(30)
    vectors = model.embed([f"{text} {i}" for i, text in enumerate(texts)])
    means = np.stack([vectors[[label == (name,) for label in labels]].mean(axis=0) for name in NAMES])
    nearest = ((vectors[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(model.score_vectors(vectors).logits.argmax(axis=1), nearest)


def test_the_example_s_setting_counts_and_is_checked(context: JobContext, base: Path, tmp_path: Path) -> None:
    with installed(EXAMPLE, tmp_path / "site"):
        spec = labelled_task(context.store, base, 30, training=TRAINING).spec
        check_training(spec)
        for settings, message in (
            ({"sharpness": -1}, r"training\.settings\.sharpness: Input should be greater than 0"),
            ({"sharpnes": 1}, r"training\.settings\.sharpnes: .*Settings that can be given: sharpness"),
        ):
            training = spec.training.model_copy(update={"settings": settings})
            with pytest.raises(InvalidSpec, match=message):
                check_training(spec.model_copy(update={"training": training}))


def test_a_package_that_is_gone_fails_its_run_and_says_so(context: JobContext, base: Path, tmp_path: Path) -> None:
    with installed(EXAMPLE, tmp_path / "site"):
        task = labelled_task(context.store, base, 30, training=TRAINING)
    plan = train_plan(task)
    assert size(plan, Measure(context.store)(plan)) == 0, "the controller places it as a small run"
    with pytest.raises(MissingPlugin, match="there is no training method 'nearest-centroid' on this machine"):
        execute(plan, 1, context)
    failure, _ = documents.load(context.store, plan.run_keys.failure(1), RunFailure)
    assert failure.final
    assert "nearest-centroid" in failure.error
    with pytest.raises(InvalidInput, match=r"training\.method: there is no training method 'nearest-centroid'"):
        check_training(task.spec)
