"""A large run driven from this process: a Ray of its own, or a cluster that the caller or RAY_ADDRESS names."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import ray

from jobs.context import JobContext
from jobs.running.execute import execute, next_attempt
from jobs.running.progress import ProgressWriter
from jobs.running.ray_mapper import RayDataMapper
from tornio.errors import Unavailable
from tornio.schemas.runs import RunPlan, RunProgress, RunResult
from tornio.storage import documents

OBJECT_STORE_BYTES = 200 << 20
"""Nothing large goes through Ray's object store: workers read and write the store of runs."""
WORKERS = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "RAY_BACKEND_LOG_LEVEL": "fatal"}
"""Set before a Ray of our own begins, whose workers inherit this process's environment, secrets included: what stands
in a runtime_env is written to Ray's logs. The last: it warns of what Ray Data itself does."""


def drive(
    plan: RunPlan,
    context: JobContext,
    watch: Callable[[RunPlan, RunProgress], None] = lambda _plan, _progress: None,
    attempt: int | None = None,
    cluster: str | None = None,
) -> RunResult:
    """Do a plan with its parts spread by Ray Data; a plan that is done gives its result at once.

    ``cluster``: ``host:port`` of a Ray that runs; none: the one that RAY_ADDRESS names, or else one of our own.
    Raises what ``execute`` raises.
    """
    documents.create_or_get(context.store, plan.run_keys.plan, plan)
    done = documents.find(context.store, plan.run_keys.result, RunResult)
    if done is not None:
        return done[0]
    note = ProgressWriter(context.store)

    def tell(plan: RunPlan, progress: RunProgress) -> None:
        note(plan, progress)
        watch(plan, progress)

    context.mapper, context.watch = RayDataMapper(), tell
    with _cluster(cluster):
        return execute(plan, attempt or next_attempt(plan, context.store), context)


@contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    if ray.is_initialized():
        yield
        return
    for name in ("ray", "ray.data"):  # their progress is ours to tell
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        _start(address)
    except Exception as error:  # it raises no other class
        raise Unavailable(
            f"Ray did not start ({error}): on a busy machine it takes longer than it waits; start again, the run "
            "goes on where it was"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _start(address: str | None) -> None:
    if address or os.environ.get("RAY_ADDRESS"):
        ray.init(address, log_to_driver=False, logging_level=logging.WARNING)
    else:
        for name, value in WORKERS.items():
            os.environ.setdefault(name, value)
        ray.init(
            address="local",
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level=logging.WARNING,
            _node_ip_address="127.0.0.1",
        )
