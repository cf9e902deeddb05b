"""The runner for small work: an actor of the cluster that stays warm, because importing torch costs seconds."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any

import ray
from ray.exceptions import RayActorError

from jobs.failures import describe
from jobs.port import RunPhase, RunStatus
from tornio.errors import Unavailable
from tornio.schemas.runs import RunPlan

log = logging.getLogger(__name__)
NAMESPACE = "tornio"
NAME = "warm-jobs"
CALL_S = 30.0
"""Seconds that a call of the actor may take: it only looks things up, but a cold one imports torch first."""


class WarmWorker:
    """Inside the actor: one run at a time, in the order of submission, beside the calls that ask for status."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="run")
        self._runs: dict[str, tuple[int, Future[None]]] = {}
        self._lock = Lock()
        self._context: Any = None
        self._pool.submit(self._ready)

    def submit(self, plan: str, attempt: int) -> None:
        known = RunPlan.decode(plan.encode())
        with self._lock:
            before = self._runs.get(known.run)
            if before is not None and (before[0] >= attempt or _succeeded(before[1])):
                return
            self._runs[known.run] = (attempt, self._pool.submit(self._execute, known, attempt))

    def status(self, run: str) -> tuple[str, int, str | None]:
        with self._lock:
            attempt, future = self._runs.get(run, (0, None))
        if future is None:
            return RunPhase.UNKNOWN, 0, None
        if not future.done():
            return RunPhase.RUNNING, attempt, None
        error = None if future.cancelled() else future.exception()
        if future.cancelled() or error is not None:
            return RunPhase.FAILED, attempt, "cancelled" if error is None else describe(error)
        return RunPhase.DONE, attempt, None

    def cancel(self, run: str) -> None:
        """Stops a run that has not begun; one that has is short, and ends by itself."""
        with self._lock:
            if run in self._runs:
                self._runs[run][1].cancel()

    def _ready(self) -> Any:
        if self._context is None:
            from jobs.context import JobContext

            self._context = JobContext.from_environment()
        return self._context

    def _execute(self, plan: RunPlan, attempt: int) -> None:
        from jobs.execute import execute

        try:
            execute(plan, attempt, self._ready())
        except Exception:
            log.warning("run %s, attempt %d, failed", plan.run, attempt, exc_info=True)
            raise


def _succeeded(future: Future[None]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


class WarmRunner:
    """The ``JobRunner`` over that actor. The actor is made when first needed, and again when it is lost."""

    def __init__(self, num_cpus: float = 0.5, num_gpus: float = 0.0) -> None:
        self._options: dict[str, Any] = {
            "name": NAME,
            "namespace": NAMESPACE,
            "get_if_exists": True,
            "lifetime": "detached",
            "max_concurrency": 8,
            "num_cpus": num_cpus,
            "num_gpus": num_gpus,
            "max_restarts": -1,
        }

    def submit(self, plan: RunPlan, attempt: int) -> None:
        self._call("submit", plan.encode().decode(), attempt)

    def status(self, run: str) -> RunStatus:
        phase, attempt, error = self._call("status", run)
        return RunStatus(RunPhase(phase), attempt, error)

    def cancel(self, run: str) -> None:
        self._call("cancel", run)

    def _call(self, method: str, *args: Any) -> Any:
        worker = ray.remote(WarmWorker).options(**self._options).remote()
        try:
            return ray.get(getattr(worker, method).remote(*args), timeout=CALL_S)
        except (RayActorError, ray.exceptions.GetTimeoutError) as error:
            raise Unavailable(f"the job worker does not answer ({describe(error)}); it is started again") from error
