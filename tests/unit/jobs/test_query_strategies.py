"""Every strategy picks in a query run, with a few-shot version, with a fine-tuned one, and before there is any."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.swapping.workshop import tiny_encoder
from jobs.context import JobContext
from jobs.running.execute import execute, plan_job
from tests.learning import labelled_task
from tests.unit.query.pools import OF_SEVERAL_LABELS
from tornio.api import TaskName
from tornio.arrays import FloatMatrix
from tornio.models.finetuned import FineTunedModel
from tornio.query import COLD_STARTS, STRATEGIES
from tornio.spec import TaskSpec
from tornio.storage.memory import MemoryStore
from tornio.tasks import Task, Tasks

pytestmark = pytest.mark.model
TUNING = {"epochs": 2, "learning_rate": 2e-3, "head_learning_rate": 1e-2}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


def picked(context: JobContext, task: Task, version: str | None, loop: Mapping[str, Any]) -> dict[str, Any]:
    """The output of a query run of the task with these settings of the loop."""
    values = task.spec.model_dump(mode="json")
    spec = TaskSpec.model_validate({**values, "loop": {**values["loop"], **loop}})
    Tasks(context.store).apply(spec, "test")
    args = {
        "batch": "g1-b0001",
        "number": 1,
        "generation": 1,
        "version": version,
        "label_seq": task.labels.read().seq,
        "pool_seq": task.pool.read().seq,
        "spec_rev": Tasks(context.store).open("w", "t").document.spec_rev,
    }
    output = execute(plan_job("query", TaskName("w", "t"), json.dumps(args)), 1, context).output
    assert len({item["record_id"] for item in output["items"]}) == len(output["items"]) == 20
    return dict(output)


def trained(context: JobContext, task: Task) -> str:
    """The version that the task's labels make."""
    seqs = {"label_seq": task.labels.read().seq, "pool_seq": task.pool.read().seq, "spec_rev": 1}
    train = {"generation": 1, "iteration": 1, "parent": None, **seqs}
    return str(execute(plan_job("train", TaskName("w", "t"), json.dumps(train)), 1, context).output["version"])


@pytest.mark.parametrize("kind", ["few-shot", "fine-tuned"])
def test_every_strategy_picks_with_a_version(tmp_path: Path, base: Path, kind: str) -> None:
    context = JobContext.over(MemoryStore(), tmp_path, "float32")
    task = labelled_task(context.store, base, 30, fine_tuning=TUNING, kind=kind)
    version = trained(context, task)
    for name in set(STRATEGIES.names) - set(OF_SEVERAL_LABELS):
        output = picked(context, task, version, {"strategy": name})
        assert output["strategy"] == name
        assert {"uncertainty"} <= {key for item in output["items"] for key in item}


@pytest.mark.parametrize("name", COLD_STARTS.names)
def test_every_cold_start_picks_without_a_version(tmp_path: Path, base: Path, name: str) -> None:
    context = JobContext.over(MemoryStore(), tmp_path, "float32")
    task = labelled_task(context.store, base, 30, fine_tuning=TUNING)
    assert picked(context, task, None, {"cold_start": name})["strategy"] == f"cold-start-{name}"


@pytest.mark.parametrize("name", ["badge", "expected-gradient-length", "contrastive", "bald", "query-by-committee"])
def test_no_text_passes_twice_through_an_encoder_of_the_models_own(
    tmp_path: Path, base: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = JobContext.over(MemoryStore(), tmp_path, "float32")
    task = labelled_task(context.store, base, 30, fine_tuning=TUNING, kind="fine-tuned")
    version = trained(context, task)
    passed: list[str] = []
    embed = FineTunedModel.embed

    def counting(self: FineTunedModel, texts: Sequence[str]) -> FloatMatrix:
        passed.extend(texts)
        return embed(self, texts)

    def refused(self: FineTunedModel, texts: Sequence[str]) -> FloatMatrix:
        raise AssertionError("the embeddings are known")

    monkeypatch.setattr(FineTunedModel, "embed", counting)
    monkeypatch.setattr("jobs.query._suggest", lambda *_: (None, {}))
    monkeypatch.setattr(FineTunedModel, "predict_proba", refused)
    picked(context, task, version, {"strategy": name})
    assert len(passed) == len(set(passed)) > 20
