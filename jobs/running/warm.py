"""The runner for small work: an actor of the cluster that stays warm, because importing torch takes seconds.

It does one run at a time, and no run is stopped for taking long; the loop reports a run that hangs. An actor that dies,
or that is ended because it no longer responds, is started again, and the attempt that it was doing has failed: see
``jobs.running.execute``. An actor without a run ends after a while, because Ray keeps the pod of an actor.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock, Thread
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError

from jobs.running.port import RunPhase, RunStatus
from tornio.errors import TornioError, Unavailable, describe
from tornio.schemas.runs import RunPlan
from tornio.settings import JobSettings

log = logging.getLogger(__name__)
NAMESPACE = "tornio"
NAME = "warm-jobs"
SUBMIT_S = 30.0
"""Seconds that a submission may take. It only accepts the plan, but a cold actor starts a process first."""
PLAN_S = 60.0
"""Seconds that planning may take: a model that was not used before is downloaded and published first."""
STATUS_S = 3.0
"""Seconds that a status query may take. The caller has other work, and queries again later."""
HUNG_S = 120.0
"""Seconds without a response after which the actor is ended and started again: far more than a cold start needs."""

LOOK_S = 5.0
"""Seconds between two looks at whether there is something to do."""


class WarmWorker:
    """Runs inside the actor: one run at a time, in the order of submission, beside the status queries."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="run")
        self._runs: dict[str, tuple[int, Future[None]]] = {}
        self._lock = Lock()
        self._preparing = Lock()
        self._context: Any = None
        self._planning = 0
        self._used_at = time.monotonic()
        self._pool.submit(self._warm_up)
        Thread(target=self._end_when_idle, daemon=True, name="idle").start()

    def submit(self, plan: str, attempt: int) -> None:
        decoded = RunPlan.decode(plan.encode())
        with self._lock:
            self._used_at = time.monotonic()
            before = self._runs.get(decoded.run)
            if before is not None and (before[0] >= attempt or _succeeded(before[1])):
                return
            self._runs[decoded.run] = (attempt, self._pool.submit(self._execute, decoded, attempt))

    def status(self, run: str) -> tuple[str, int, str | None]:
        with self._lock:
            attempt, future = self._runs.get(run, (0, None))
        if future is None:
            return RunPhase.UNKNOWN, 0, None
        if not future.done():
            return RunPhase.RUNNING, attempt, None
        if future.cancelled():
            return RunPhase.FAILED, attempt, "it was cancelled before it began"
        error = future.exception()
        return (RunPhase.DONE, attempt, None) if error is None else (RunPhase.FAILED, attempt, describe(error))

    def cancel(self, run: str) -> bool:
        """Cancel a waiting run. Returns whether the run was still waiting."""
        with self._lock:
            _, future = self._runs.get(run, (0, None))
        return future is not None and future.cancel()

    def plan(self, job: str, workspace: str, task: str, request: dict[str, Any]) -> str:
        """Return the plan of a user's request. It is made here, because this process can read data and models."""
        from jobs.requests import plan_request

        with self._lock:
            self._planning += 1
        try:
            return plan_request(job, workspace, task, request, self._ready()).encode().decode()
        finally:
            with self._lock:
                self._planning -= 1
                self._used_at = time.monotonic()

    def idle_s(self) -> float:
        """Return for how many seconds nothing was done or asked for. 0 while something is."""
        with self._lock:
            now = time.monotonic()
            if self._planning or not all(future.done() for _, future in self._runs.values()):
                self._used_at = now
            return now - self._used_at

    def _end_when_idle(self) -> None:
        """End the actor, for good: the next call to it starts another."""
        limit = JobSettings().warm_idle_seconds
        while (left := limit - self.idle_s()) > 0:
            time.sleep(min(left, LOOK_S))
        log.info("The job worker ends, because it had no run for %.0f s.", limit)
        ray.kill(ray.get_actor(NAME, NAMESPACE))

    def _warm_up(self) -> None:
        try:
            self._ready()
        except Exception:  # the first run tries again and reports the error
            log.warning("The job worker cannot prepare itself.", exc_info=True)

    def _ready(self) -> Any:
        with self._preparing:
            if self._context is None:
                from jobs.running.process import job_context

                self._context = job_context()
            return self._context

    def _execute(self, plan: RunPlan, attempt: int) -> None:
        from jobs.running.execute import execute

        try:
            execute(plan, attempt, self._ready())
        except Exception:
            log.warning("run %s, attempt %d, failed", plan.run, attempt, exc_info=True)
            raise


def _succeeded(future: Future[None]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


class WarmRunner:
    """The ``JobRunner`` over that actor. The actor is created when first needed, and again after it was lost."""

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
        self._silent_since: float | None = None

    def submit(self, plan: RunPlan, attempt: int) -> None:
        """Submit an attempt. Raises Unavailable if the actor does not accept it in time; then submit it again."""
        try:
            self._call(SUBMIT_S, "submit", plan.encode().decode(), attempt)
        except (RayActorError, GetTimeoutError) as error:
            raise Unavailable(
                f"The job worker does not respond ({describe(error)}). It is asked again later."
            ) from error

    def status(self, plan: RunPlan) -> RunStatus:
        try:
            phase, attempt, error = self._call(STATUS_S, "status", plan.run)
        except (RayActorError, GetTimeoutError) as away:
            log.info("The job worker does not report the state of run %s: %s", plan.run, describe(away))
            return RunStatus(RunPhase.UNKNOWN)
        return RunStatus(RunPhase(phase), attempt, error)

    def cancel(self, plan: RunPlan) -> None:
        """Remove a waiting run. If the run is being done, end the actor, which is started again."""
        try:
            ended = self._call(SUBMIT_S, "cancel", plan.run)
            runs = not ended and self._call(STATUS_S, "status", plan.run)[0] == RunPhase.RUNNING
        except (RayActorError, GetTimeoutError) as error:  # it may be busy with the very run
            raise Unavailable(f"The job worker does not respond ({describe(error)}). Cancel again.") from error
        if runs:
            ray.kill(ray.get_actor(NAME, NAMESPACE), no_restart=False)

    def plan(self, job: str, workspace: str, task: str, request: dict[str, Any]) -> RunPlan:
        """Return the plan of a run that a user requests. Raises errors of the request, and Unavailable."""
        try:
            planned: str = self._call(PLAN_S, "plan", job, workspace, task, request)
        except RayTaskError as error:
            if isinstance(error.cause, TornioError):
                raise error.cause from None
            raise
        except (RayActorError, GetTimeoutError) as error:
            raise Unavailable(f"The job worker does not respond ({describe(error)}). Ask again.") from error
        return RunPlan.decode(planned.encode())

    def _call(self, timeout_s: float, method: str, *args: Any) -> Any:
        """Call a method of the actor. Raises RayActorError if it has died, GetTimeoutError if it is too slow."""
        worker = ray.remote(WarmWorker).options(**self._options).remote()
        try:
            response = ray.get(getattr(worker, method).remote(*args), timeout=timeout_s)
        except GetTimeoutError:
            self._end_if_hung(worker)
            raise
        except RayActorError:  # a dead actor does not hang: the cluster starts it again
            self._silent_since = None
            raise
        self._silent_since = None
        return response

    def _end_if_hung(self, worker: Any) -> None:
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
        elif now - self._silent_since > HUNG_S:
            log.warning("The job worker has not responded for %.0f s. It is ended and started again.", HUNG_S)
            ray.kill(worker, no_restart=False)
            self._silent_since = None
