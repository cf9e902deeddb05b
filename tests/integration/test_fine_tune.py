"""Fine-tuning by two workers under Ray Train, on a real object store: as by one, and as if none had been killed."""

from __future__ import annotations

import json
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import psutil
import pytest
import ray

from bench.swapping.workshop import tiny_encoder
from jobs.context import JobContext
from jobs.running.execute import execute, plan_job
from jobs.running.process import job_context
from tests.integration.conftest import S3Access
from tests.learning import examples, labelled_task
from tornio.api import TaskName
from tornio.registry import Registry
from tornio.schemas.jobs import TrainOutput
from tornio.schemas.registry import Manifest
from tornio.schemas.runs import RunPlan

pytestmark = pytest.mark.integration
TUNING = {"epochs": 10, "batch_size": 32, "learning_rate": 1e-3, "head_learning_rate": 1e-2, "validation_from": 60}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model with dropout: workers draw the same, whoever computes what."""
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def context(s3: S3Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobContext:
    """An empty prefix of the real store, and settings that workers inherit."""
    variables = {
        "TORNIO_S3_ENDPOINT": s3.endpoint,
        "TORNIO_S3_BUCKET": s3.bucket,
        "TORNIO_S3_PREFIX": f"tune-{uuid.uuid4().hex[:8]}/",
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "TORNIO_CACHE_DIR": str(tmp_path / "node"),
        "TORNIO_PRECISION": "float32",
        "TORNIO_TRAIN_WORKER_CPUS": "0.5",
        "TORNIO_TRAIN_WORKERS": "2",
        "TORNIO_TRAIN_CHECKPOINT_SECONDS": "0",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return job_context()


@pytest.fixture
def cluster(context: JobContext, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ray in this process; its workers inherit the settings of the test."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    ray.init(
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=200 << 20,
        log_to_driver=False,
    )
    try:
        yield
    finally:
        ray.shutdown()


def trained(context: JobContext, plan: RunPlan, attempt: int = 1) -> Manifest:
    output = TrainOutput.model_validate(execute(plan, attempt, context).output)
    return Registry(context.store, context.tasks.open("w", "t").keys).manifest(output.version)


def test_two_workers_one_of_them_killed_make_the_version_of_one(
    context: JobContext, base: Path, cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = labelled_task(context.store, base, 66, kind="fine-tuned", fine_tuning=TUNING)
    args = {"generation": 1, "iteration": 1, "parent": None, "spec_rev": 1}
    args |= {"label_seq": task.labels.read().seq, "pool_seq": task.pool.read().seq}
    plan = plan_job("train", TaskName("w", "t"), json.dumps(args))
    with monkeypatch.context() as patch:
        patch.setenv("TORNIO_TRAIN_WORKERS", "1")
        patch.setenv("TORNIO_TRAIN_CHECKPOINT_SECONDS", "3600")
        alone = trained(context, plan)
    expected = context.loader.model(alone).score(examples(30, seed=9)[0]).logits
    context.store.delete([plan.run_keys.result, f"w/tasks/t/versions/{alone.version}.json"])

    killer = Killer(context, plan)
    killer.start()
    together = trained(context, plan, attempt=2)
    killer.join()
    assert killer.killed_after > 0
    assert together.metrics == pytest.approx(alone.metrics, abs=1e-3)
    found = job_context().loader.model(together).score(examples(30, seed=9)[0]).logits
    np.testing.assert_allclose(found, expected, atol=1e-2)
    lines = context.store.get(plan.run_keys.attempt(2) + "metrics.jsonl").body.splitlines()
    steps = [json.loads(line)["step"] for line in lines]
    assert steps == list(range(2, int(alone.metrics["steps"]) + 1, 2))
    left = [info.key for info in context.store.list(plan.run_keys.root)]
    assert not [key for key in left if "/training/" in key or "/ray-train/" in key]


class Killer(Thread):
    """Ends one of the training's workers once a checkpoint is there."""

    def __init__(self, context: JobContext, plan: RunPlan) -> None:
        super().__init__(daemon=True)
        self._store = context.store
        self._folder = plan.run_keys.folder("training")
        self.killed_after = 0
        """Step of the last checkpoint before."""

    def run(self) -> None:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            steps = [int(info.key.split("/")[-2]) for info in self._store.list(self._folder)]
            if steps and max(steps) >= 3:
                workers = [
                    p for p in psutil.Process().children(recursive=True) if "RayTrainWorker" in p.name() + _title(p)
                ]
                self.killed_after = max(steps)
                workers[-1].send_signal(signal.SIGKILL)
                return
            time.sleep(0.05)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
