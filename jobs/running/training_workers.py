"""Training by several workers under Ray Train, which starts them again when one dies."""

from __future__ import annotations

import logging
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from jobs.context import RunContext
from tornio.errors import InvalidInput, NotFound, RunFailed
from tornio.settings import NodeSettings, StorageSettings, TrainSettings

log = logging.getLogger(__name__)
RAY_FOLDER = "ray-train"
"""Folder of the run where Ray Train keeps its own small documents. The checkpoints are Tornio's own: see
``jobs.training_hooks``."""


def train_on_workers(context: RunContext) -> None:
    """Let TORNIO_TRAIN_WORKERS workers do this run (``Job.work``) and publish its result.

    When a worker dies, all workers are started again and continue from the last checkpoint. They communicate by gloo
    between processors and by NCCL between GPUs; the NCCL path was never run on this project's machines. Raises
    RunFailed where the workers fail for good, InvalidInput where another attempt could not help.
    """
    settings = TrainSettings()
    gpus = ray.cluster_resources().get("GPU", 0) > 0  # type: ignore[no-untyped-call]
    path, filesystem = _storage(context)
    trainer = TorchTrainer(
        _work,
        train_loop_config={"plan": context.plan.encode().decode(), "attempt": context.attempt},
        torch_config=TorchConfig(backend="nccl" if gpus else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=settings.workers,
            use_gpu=gpus,
            resources_per_worker={"CPU": settings.worker_cpus, **({"GPU": 1} if gpus else {})},
        ),
        run_config=RunConfig(
            name=f"{context.run}-{context.attempt}",
            storage_path=path,
            storage_filesystem=filesystem,
            failure_config=FailureConfig(max_failures=settings.max_failures),
        ),
    )
    try:
        trainer.fit()
    except ray.train.TrainingFailedError as error:
        raise RunFailed(f"the training's workers failed: {_reason(error)}") from error
    store = context.job.store
    refused = _refusal(context)
    store.delete([info.key for info in store.list(context.keys.folder(RAY_FOLDER))])
    if refused:
        raise InvalidInput(refused)


def _refusal(context: RunContext) -> str:
    """Return why no training of these arguments can succeed, or an empty string.

    A worker writes the reason to a document, because Ray starts a worker that raises again.
    """
    try:
        return context.job.store.get(_refusal_key(context)).body.decode()
    except NotFound:
        return ""


def _refusal_key(context: RunContext) -> str:
    return context.keys.folder(RAY_FOLDER) + "refused.txt"


def _work(config: dict[str, Any]) -> None:
    """The code of each worker. Ray Train has already started its process group."""
    import torch

    from jobs.context import JobContext
    from jobs.running.progress import ProgressWriter
    from jobs.table import JOBS
    from tornio.schemas.runs import RunPlan

    if torch.cuda.is_available():
        torch.cuda.set_device(ray.train.torch.get_device())
    plan = RunPlan.decode(config["plan"].encode())
    job = JobContext.from_environment()
    job.watch = ProgressWriter(job.store)
    context = RunContext(job, plan, config["attempt"])
    entry = JOBS[plan.job]
    try:
        if entry.work is None:
            raise InvalidInput(f"the job {plan.job} is not one that several workers can do")
        entry.work(entry.args.model_validate(plan.args), context)
    except InvalidInput as error:  # raised in all workers alike, because they compute the same sums
        job.store.put(_refusal_key(context), str(error).encode())
    torch.distributed.barrier()  # no worker ends before the first has published


def _storage(context: RunContext) -> tuple[str, Any]:
    """Return where Ray Train keeps its documents: the run's folder in the store, as path and file system of pyarrow."""
    node, root = NodeSettings(), context.keys.folder(RAY_FOLDER)
    if node.store_dir is not None:
        return str(node.store_dir.resolve() / root), None
    from pyarrow.fs import S3FileSystem

    s3 = StorageSettings()
    scheme, _, host = (s3.endpoint or "").rpartition("://")
    where = {"endpoint_override": host, "scheme": scheme or "https"} if host else {}
    return f"{s3.bucket}/{s3.root}{root.strip('/')}", S3FileSystem(region=s3.region, **where)


def _reason(error: BaseException) -> str:
    """Return the workers' error: the last line of the innermost cause."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
