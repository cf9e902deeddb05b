"""Training as a job: the kind that the spec asks for, published, judged and queried like any other."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.swapping.workshop import tiny_encoder
from jobs.context import JobContext
from jobs.running.execute import execute, plan_job
from tests.learning import NAMES, labelled_task
from tornio.api import TaskName
from tornio.models.finetuned import FineTunedModel
from tornio.registry import Registry
from tornio.schemas.jobs import TrainOutput
from tornio.schemas.runs import RunPlan
from tornio.storage.memory import MemoryStore
from tornio.storage.port import ObjectStore
from tornio.tasks import Task, reserve
from tornio.training import contest, supervised
from tornio.training.methods.contrastive import ContrastiveSettings
from tornio.training.supervised import fit

pytestmark = pytest.mark.model
TUNING = {"epochs": 4, "learning_rate": 2e-3, "head_learning_rate": 1e-2}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def context(tmp_path: Path) -> JobContext:
    return JobContext.over(MemoryStore(), tmp_path, "float32")


def train_plan(task: Task, iteration: int = 1) -> RunPlan:
    args = {
        "generation": 1,
        "iteration": iteration,
        "label_seq": task.labels.read().seq,
        "pool_seq": task.pool.read().seq,
        "spec_rev": 1,
        "parent": None,
    }
    return plan_job("train", TaskName("w", "t"), json.dumps(args))


def trained(context: JobContext, plan: RunPlan, attempt: int = 1) -> TrainOutput:
    return TrainOutput.model_validate(execute(plan, attempt, context).output)


@pytest.mark.parametrize(
    ("classifier", "kind", "why"),
    [
        ({"kind": "few-shot"}, "layered-few-shot", ""),
        ({"kind": "fine-tuned"}, "fine-tuned", ""),
        ({"kind": "auto", "fine_tuned_from": 31}, "layered-few-shot", "30 labelled texts, fewer than"),
    ],
)
def test_the_version_is_of_the_kind_that_the_spec_asks_for(
    context: JobContext, base: Path, classifier: dict[str, Any], kind: str, why: str
) -> None:
    task = labelled_task(context.store, base, 30, fine_tuning=TUNING, **classifier)
    output = trained(context, train_plan(task))
    manifest = Registry(context.store, task.keys).manifest(output.version)
    assert manifest.kind == output.kind == kind
    assert manifest.why == output.why
    assert output.why.startswith(why)
    assert bool(output.why) == bool(why)
    assert sum(output.labels.values()) == 30


@pytest.mark.parametrize(("few_shot", "kind"), [(0.0, "layered-few-shot"), (99.0, "fine-tuned")])
def test_auto_publishes_the_kind_that_is_better_on_held_out_labels(
    context: JobContext, base: Path, monkeypatch: pytest.MonkeyPatch, few_shot: float, kind: str
) -> None:
    monkeypatch.setattr(contest, "few_shot_loss", lambda *_: few_shot)
    task = labelled_task(context.store, base, 30, fine_tuning=TUNING, kind="auto", fine_tuned_from=30)
    output = trained(context, train_plan(task))
    manifest = Registry(context.store, task.keys).manifest(output.version)
    assert manifest.kind == output.kind == kind
    assert re.match(r"log-loss on labels that were held out.*fine-tuned \d\.\d+, few-shot \d+\.000", manifest.why)
    assert ("config.json" in manifest.blobs) == (kind == "fine-tuned")
    assert context.loader.model(manifest).labels == NAMES


def test_auto_measures_both_kinds_by_itself(context: JobContext, base: Path) -> None:
    task = labelled_task(context.store, base, 30, fine_tuning=TUNING, kind="auto", fine_tuned_from=30)
    output = trained(context, train_plan(task))
    fine_tuned, few_shot = map(float, re.findall(r"(?:tuned|shot) (\d+\.\d+)", output.why))
    assert output.kind == ("fine-tuned" if fine_tuned <= few_shot else "layered-few-shot")


def test_consistency_never_sees_the_hold_out_and_a_stopped_one_says_why(
    context: JobContext, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard asks for what no prediction has: the labels that people gave are perfectly balanced."""
    settings = {"steps": 20, "batch_size": 4, "ratio": 2, "guard": 1}
    training = {"method": "consistency", "settings": settings}
    task = labelled_task(context.store, base, 30, kind="fine-tuned", fine_tuning=TUNING, training=training)
    read: list[str] = []

    def remembered(*args: Any, unlabelled: Sequence[str] = (), **options: Any) -> Any:
        read.extend(unlabelled)
        return fit(*args, unlabelled=unlabelled, **options)

    monkeypatch.setattr(supervised, "fit", remembered)
    output = trained(context, train_plan(task))
    manifest = Registry(context.store, task.keys).manifest(output.version)
    assert manifest.why == output.why
    assert re.match(r"consistency was stopped in step \d+ of \d+: .*a supervised model takes its place", manifest.why)
    view = task.pool.read()
    held = reserve(task, view, ())
    assert held
    texts = dict(zip(view.record_ids, view.texts, strict=True))
    assert set(read) == {texts[record_id] for record_id in texts.keys() - held if record_id.startswith("p")}


@pytest.mark.parametrize(
    ("few_shot", "kind", "why"),
    [
        (0.0, "layered-few-shot", r"held out.*contrastive \d\.\d+, few-shot 0\.000"),
        (99.0, "fine-tuned", r"held out.*contrastive \d\.\d+, few-shot 99\.000"),
        (None, "layered-few-shot", "nothing shows whether contrastive"),
    ],
)
def test_the_method_auto_compares_a_head_with_contrastive_training(
    context: JobContext, base: Path, monkeypatch: pytest.MonkeyPatch, few_shot: float | None, kind: str, why: str
) -> None:
    monkeypatch.setattr(contest, "few_shot_loss", lambda *_: few_shot)
    task = labelled_task(context.store, base, 15, kind="auto", training={"method": "auto"})
    output = trained(context, train_plan(task))
    manifest = Registry(context.store, task.keys).manifest(output.version)
    assert manifest.kind == output.kind == kind
    assert re.search(why, manifest.why)
    assert context.loader.model(manifest).labels == NAMES


def test_a_contrastive_version_serves_what_was_measured(context: JobContext, base: Path, tmp_path: Path) -> None:
    task = labelled_task(context.store, base, 15, kind="fine-tuned", training={"method": "contrastive"})
    manifest = Registry(context.store, task.keys).manifest(trained(context, train_plan(task)).version)
    model = JobContext.over(context.store, tmp_path / "other", "float32").loader.model(manifest)
    assert isinstance(model, FineTunedModel)
    assert model.use.normalise
    assert manifest.metrics["pairs"] == 15 * ContrastiveSettings().pairs
    assert 0 < manifest.metrics["held_out_log_loss"] < 3


@pytest.mark.parametrize("threshold", ["auto", 0.3])
def test_a_version_has_the_thresholds_that_the_spec_asks_for(
    context: JobContext, base: Path, threshold: str | float
) -> None:
    task = labelled_task(context.store, base, 30, multi_label=True, threshold=threshold)
    output = trained(context, train_plan(task))
    chosen = Registry(context.store, task.keys).manifest(output.version).thresholds
    assert set(chosen) == set(NAMES)
    if threshold == "auto":
        assert all(0 < least < 1 for least in chosen.values())
    else:
        assert set(chosen.values()) == {0.3}


def test_a_fine_tuned_version_is_a_model_of_its_own(context: JobContext, base: Path, tmp_path: Path) -> None:
    task = labelled_task(context.store, base, 30, kind="fine-tuned", fine_tuning=TUNING)
    plan = train_plan(task)
    manifest = Registry(context.store, task.keys).manifest(trained(context, plan).version)
    model = JobContext.over(context.store, tmp_path / "other", "float32").loader.model(manifest)
    assert isinstance(model, FineTunedModel)
    assert manifest.encoder == model.use
    assert (manifest.metrics["examples"], manifest.metrics["steps"]) == (30, 8)
    lines = steps_told(context, plan, 1)
    assert [(line["step"], line["epoch"]) for line in lines] == [(2, 1), (4, 2), (6, 3), (8, 4)]
    assert lines[-1]["loss"] == manifest.metrics["train_loss"]
    assert not list(context.store.list(plan.run_keys.folder("training"))), "checkpoints are of no use any more"


def steps_told(context: JobContext, plan: RunPlan, attempt: int) -> list[dict[str, Any]]:
    body = context.store.get(plan.run_keys.attempt(attempt) + "metrics.jsonl").body
    return [json.loads(line) for line in body.splitlines()]


class Died(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


def die_in_step_4(context: object, stage: str, done: int, total: int, unit: str) -> None:
    if done == 4:
        raise Died


def test_the_next_attempt_goes_on_where_the_last_one_died(
    context: JobContext, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORNIO_TRAIN_CHECKPOINT_SECONDS", "0")
    task = labelled_task(context.store, base, 30, kind="fine-tuned", fine_tuning=TUNING)
    plan = train_plan(task)
    with monkeypatch.context() as patch:
        patch.setattr("jobs.training_hooks.RunContext.progress", die_in_step_4)
        with pytest.raises(Died):
            execute(plan, 1, context)
    assert [line["step"] for line in steps_told(context, plan, 1)] == [2]
    output = trained(context, plan, attempt=2)
    assert [line["step"] for line in steps_told(context, plan, 2)] == [4, 6, 8]
    undisturbed = JobContext.over(MemoryStore(), tmp_path / "other", "float32")
    labelled_task(undisturbed.store, base, 30, kind="fine-tuned", fine_tuning=TUNING)
    assert trained(undisturbed, plan) == output
    assert blobs(undisturbed.store, output.version) == blobs(context.store, output.version)


def blobs(store: ObjectStore, version: str) -> object:
    return json.loads(store.get(f"w/tasks/t/versions/{version}.json").body)["blobs"]


def test_an_attempt_that_died_after_it_published_is_not_trained_again(
    context: JobContext, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = labelled_task(context.store, base, 30, kind="fine-tuned", fine_tuning=TUNING)
    plan = train_plan(task)
    output = trained(context, plan)
    context.store.delete([plan.run_keys.result])
    monkeypatch.delattr("tornio.training.methods.supervised.Supervised.fit")
    assert trained(context, plan, attempt=2) == output


def test_a_fine_tuned_version_is_judged_and_picks_the_next_batch(context: JobContext, base: Path) -> None:
    task = labelled_task(context.store, base, 30, kind="fine-tuned", fine_tuning=TUNING)
    version = trained(context, train_plan(task)).version
    seqs = {"label_seq": task.labels.read().seq, "pool_seq": task.pool.read().seq, "spec_rev": 1}
    judge: dict[str, Any] = {"version": version, "current": None, "rivals": [], "agree_with": version, **seqs}
    verdict = execute(plan_job("evaluate", TaskName("w", "t"), json.dumps(judge)), 1, context).output
    assert verdict["agreement"] == 1.0
    assert verdict["signals"].keys() == {"classification-change", "overall-uncertainty"}  # for three labels
    assert verdict["signals"]["classification-change"] == 0
    pick = {"batch": "g1-b0001", "number": 1, "generation": 1, "version": version, **seqs}
    picked = execute(plan_job("query", TaskName("w", "t"), json.dumps(pick)), 1, context).output
    assert picked["strategy"] == "breaking-ties"
    assert len(picked["items"]) == 20
