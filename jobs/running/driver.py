"""A large run driven from this process, on a Ray of its own or on a cluster that the caller or RAY_ADDRESS names."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import ray
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

from jobs.context import JobContext
from jobs.running import ray_folder, ray_start
from jobs.running.execute import execute, next_attempt
from jobs.running.progress import ProgressWriter
from jobs.running.ray_mapper import RayDataMapper
from tornio.errors import Unavailable
from tornio.schemas.runs import RunPlan, RunProgress, RunResult
from tornio.storage import documents

OBJECT_STORE_BYTES = 200 << 20
"""Small, because no large data goes through Ray's object store: workers read and write the store of the runs."""
WORKERS = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "RAY_BACKEND_LOG_LEVEL": "fatal"}
"""Set before a Ray of our own starts. Its workers inherit this process's environment, secrets included; a runtime_env
would be written to Ray's logs. The last one hides warnings about Ray Data's own actions."""


def drive(
    plan: RunPlan,
    context: JobContext,
    watch: Callable[[RunPlan, RunProgress], None] = lambda _plan, _progress: None,
    attempt: int | None = None,
    cluster: str | None = None,
) -> RunResult:
    """Run a plan, spreading its parts with Ray Data. A plan that is done returns its result at once.

    ``cluster``: ``host:port`` of a running Ray. None means the one that RAY_ADDRESS names, or else a new one of our
    own. Raises what ``execute`` raises.
    """
    documents.create_or_get(context.store, plan.run_keys.plan, plan)
    done = documents.find(context.store, plan.run_keys.result, RunResult)
    if done is not None:
        return done[0]
    write = ProgressWriter(context.store)

    def report(plan: RunPlan, progress: RunProgress) -> None:
        write(plan, progress)
        watch(plan, progress)

    context.mapper, context.watch = RayDataMapper(), report
    with _cluster(cluster):
        return execute(plan, attempt or next_attempt(plan, context.store), context)


@contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    if ray.is_initialized():
        yield
        return
    for name in ("ray", "ray.data"):  # we report progress ourselves
        logging.getLogger(name).setLevel(logging.ERROR)
    with _joined(address) if address or os.environ.get("RAY_ADDRESS") else _own():
        yield


@contextmanager
def _joined(address: str | None) -> Iterator[None]:
    _join(address)
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _own() -> Iterator[None]:
    for name, value in WORKERS.items():
        os.environ.setdefault(name, value)
    with _for_us_alone():
        ray_start.until_it_runs(_start_own)
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def _for_us_alone() -> Iterator[None]:
    """Let a Ray that starts meanwhile use a private folder and a new token. Both are removed afterwards."""
    with TemporaryDirectory(prefix=ray_folder.PREFIX, dir=ray_folder.SHORT, ignore_cleanup_errors=True) as folder:
        variables = {**ray_folder.private(Path(folder)), "RAY_AUTH_TOKEN": None}  # it would go before the file
        before = {name: os.environ.get(name) for name in variables}
        _set(variables)
        try:
            yield
        finally:
            _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    """Set or unset variables of this process. Ray's library has read those of its authentication, and does so again."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _join(address: str | None) -> None:
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.WARNING)
    except Exception as error:  # Ray raises no more specific class
        named = address or os.environ["RAY_ADDRESS"]
        raise Unavailable(f"Ray at {named} cannot be used ({error}). Check that it runs and can be reached.") from error


def _start_own() -> None:
    ray.init(
        address="local",
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        log_to_driver=False,
        logging_level=logging.WARNING,
        _node_ip_address="127.0.0.1",
    )
