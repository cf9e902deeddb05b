"""A training run with back-translation: its models are kept in the bucket, and held-out texts are never translated."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from bench.swapping.workshop import tiny_encoder
from jobs.context import JobContext, RunContext
from jobs.running.execute import execute, plan_job
from jobs.running.measuring import Measure
from jobs.running.placement import size
from jobs.training_inputs import RunDesk
from tests.learning import labelled_task
from tests.translators import tiny_t5
from tornio.api import TaskName
from tornio.errors import InvalidInput, NotFound
from tornio.pool.written_views import WrittenViews
from tornio.registry import Registry
from tornio.schemas.jobs import TrainArgs, TrainOutput
from tornio.schemas.runs import RunPlan
from tornio.storage.memory import MemoryStore
from tornio.tasks import Task, reserve
from tornio.training.group import Alone

pytestmark = pytest.mark.model


@pytest.fixture
def context(tmp_path: Path) -> JobContext:
    return JobContext.over(MemoryStore(), tmp_path / "node", "float32")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("base"))


def training(there: Path, back: Path) -> dict[str, Any]:
    ways = {"back-translation": {"there": str(there), "back": str(back), "new_tokens": 8}}
    settings = {"steps": 10, "batch_size": 4, "ratio": 2, "guard": 0, "augmentations": ways}
    return {"method": "consistency", "settings": settings}


def plan_of(task: Task) -> RunPlan:
    args = TrainArgs(
        generation=1, iteration=1, label_seq=task.labels.read().seq, pool_seq=task.pool.read().seq, spec_rev=1,
        parent=None,
    )  # fmt: skip
    return plan_job("train", TaskName("w", "t"), args.model_dump_json())


def test_it_trains_a_version_and_never_writes_held_out_texts(context: JobContext, base: Path, tmp_path: Path) -> None:
    there, back = tiny_t5(tmp_path / "there", 1), tiny_t5(tmp_path / "back", 2)
    task = labelled_task(context.store, base, 18, training=training(there, back), kind="fine-tuned")
    plan = plan_of(task)
    assert size(plan, Measure(context.store)(plan)) > 25 * 40
    output = TrainOutput.model_validate(execute(plan, 1, context).output)
    manifest = Registry(context.store, task.keys).manifest(output.version)
    assert "without_view" in manifest.metrics
    (purpose,) = {info.key.split("/")[-2] for info in context.store.list(f"{task.keys.root}written-views/")}
    written = WrittenViews(context.store, task.keys, purpose).read()
    view = task.pool.read()
    texts = dict(zip(view.record_ids, view.texts, strict=True))
    held = {texts[name] for name in reserve(task, view, task.labels.read().events)}
    assert held
    assert not held & written.keys()
    assert len(written) == len(set(view.texts) - held)


def test_a_model_is_pinned_and_kept_in_the_bucket(context: JobContext, base: Path, tmp_path: Path) -> None:
    there = tiny_t5(tmp_path / "there")
    task = labelled_task(context.store, base, 18)
    desk = RunDesk(RunContext(context, plan_of(task), 1), Alone())
    folder, digest = desk.translator(str(there))
    assert {"config.json", "generation_config.json", "model.safetensors"} <= {path.name for path in folder.iterdir()}
    shutil.rmtree(there)
    elsewhere = JobContext.over(context.store, tmp_path / "other", "float32")
    assert RunDesk(RunContext(elsewhere, plan_of(task), 1), Alone()).translator(str(there))[1] == digest


def test_what_is_wrong_with_a_model_is_said(context: JobContext, base: Path, tmp_path: Path) -> None:
    task = labelled_task(context.store, base, 18)
    desk = RunDesk(RunContext(context, plan_of(task), 1), Alone())
    with pytest.raises(NotFound, match="does not exist"):
        desk.translator(str(tmp_path / "nowhere"))
    with pytest.raises(InvalidInput, match="does not translate"):
        desk.translator(str(base))
    pickled = tiny_t5(tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(InvalidInput, match=r"has no \.safetensors file"):
        desk.translator(str(pickled))
