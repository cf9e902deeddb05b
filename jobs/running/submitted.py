"""The runner for large work in a Ray cluster: each attempt is a Ray job, through Ray's submission API."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Callable
from typing import Any, Protocol

from jobs.running.placement import is_spread
from jobs.running.port import RunPhase, RunStatus
from tornio.errors import Unavailable
from tornio.schemas.runs import RunPlan

log = logging.getLogger(__name__)
ANSWER_S = 10.0
"""Seconds that Ray's API may take to respond. Ray's own client would wait forever, and block the whole task."""
_FAULTS = (RuntimeError, OSError)
"""What Ray's client raises: its own errors, and those of requests."""
_SHOWN_LINES = 3
_SHOWN = 500
"""Characters of a job's log that are reported as the reason of its failure."""


class SubmissionClient(Protocol):
    """The used part of ``ray.job_submission.JobSubmissionClient``, and the address of its cluster (``host:port``)."""

    cluster: str

    def submit_job(
        self, *, entrypoint: str, submission_id: str, metadata: dict[str, str], entrypoint_num_cpus: float
    ) -> str: ...

    def list_jobs(self) -> list[Any]: ...

    def stop_job(self, job_id: str) -> bool: ...


def cluster_client() -> SubmissionClient:
    """Return the submission API of the cluster that this process belongs to. Raises ConnectionError."""
    import ray
    from ray._private.worker import get_dashboard_url
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    class Client(JobSubmissionClient):
        cluster = ray.get_runtime_context().gcs_address

        def _do_request(self, *args: Any, **options: Any) -> Any:
            try:
                return super()._do_request(*args, timeout=ANSWER_S, **options)
            except AuthenticationError as error:
                raise ConnectionError(str(error)) from error

    if not get_dashboard_url():  # type: ignore[no-untyped-call]  # Ray would take what listens at its default port, which may be another cluster
        raise ConnectionError("this cluster has no dashboard")
    return Client(Client.cluster)


class RayJobRunner:
    """The ``JobRunner`` over Ray jobs.

    A job's id names run and attempt, so that a second submission changes nothing, and a new controller finds the jobs
    of an earlier one.

    The entry point reads the plan from the store; the store's address and keys are in the environment of the cluster.

    A job whose head was lost is unknown or has failed, depending on whether Ray remembers it. A job that cannot start
    fails after RAY_JOB_START_TIMEOUT_SECONDS, which are 900 unless set in the cluster.
    """

    def __init__(self, connect: Callable[[], SubmissionClient] = cluster_client, num_cpus: float = 0.5) -> None:
        """``num_cpus``: logical processors of a job that computes in its own process."""
        self._connect = connect
        self._num_cpus = num_cpus
        self._client: SubmissionClient | None = None

    def submit(self, plan: RunPlan, attempt: int) -> None:
        """Submit an attempt. Raises Unavailable if the cluster does not accept it; then submit it again."""
        if any(number >= attempt for number, _ in self._attempts(plan)):
            return
        task = [] if plan.task is None else ["--task", plan.task]
        try:
            api = self._api()
            # If a machine has several clusters, Ray itself gives a job the address of any of them.
            cluster = ["--cluster", api.cluster]
            words = [sys.executable, "-m", "jobs", plan.workspace, plan.run, str(attempt), *task, *cluster]
            api.submit_job(
                entrypoint=shlex.join(words),
                submission_id=f"{_prefix(plan)}{attempt}",
                metadata={"run": plan.run, "job": plan.job, "workspace": plan.workspace, "task": plan.task or ""},
                entrypoint_num_cpus=0 if is_spread(plan) else self._num_cpus,
            )
        except _FAULTS as error:
            if "already exists" not in str(error):  # another controller was first with the same attempt
                raise self._unavailable(error) from error

    def status(self, plan: RunPlan) -> RunStatus:
        try:
            attempts = self._attempts(plan)
        except Unavailable as away:
            log.info("The cluster does not report the state of run %s: %s", plan.run, away)
            return RunStatus(RunPhase.UNKNOWN)
        if not attempts:
            return RunStatus(RunPhase.UNKNOWN)
        attempt, details = max(attempts, key=lambda pair: pair[0])
        phase = _PHASES.get(str(details.status.value), RunPhase.RUNNING)
        return RunStatus(phase, attempt, _why(details) if phase is RunPhase.FAILED else None)

    def cancel(self, plan: RunPlan) -> None:
        for _, details in self._attempts(plan):
            if _PHASES.get(str(details.status.value), RunPhase.RUNNING) is RunPhase.RUNNING:
                try:
                    self._api().stop_job(details.submission_id)
                except _FAULTS as error:
                    raise self._unavailable(error) from error

    def _attempts(self, plan: RunPlan) -> list[tuple[int, Any]]:
        """Return the attempts of this run that the cluster knows. Raises Unavailable."""
        try:
            jobs = self._api().list_jobs()
        except _FAULTS as error:
            raise self._unavailable(error) from error
        prefix = _prefix(plan)
        named = [job for job in jobs if (job.submission_id or "").startswith(prefix)]
        return [(int(job.submission_id.removeprefix(prefix)), job) for job in named]

    def _api(self) -> SubmissionClient:
        if self._client is None:
            self._client = self._connect()
        return self._client

    def _unavailable(self, error: Exception) -> Unavailable:
        self._client = None  # the head may have moved
        reason = _short(str(error).splitlines()[-_SHOWN_LINES:])
        return Unavailable(
            f"Ray's job API does not respond ({reason}). It is asked again later. It needs the dashboard of Ray; in a "
            "cluster without dashboard set TORNIO_JOB_LARGE_TEXTS=never."
        )


_PHASES = {
    "PENDING": RunPhase.RUNNING,
    "RUNNING": RunPhase.RUNNING,
    "SUCCEEDED": RunPhase.DONE,
    "FAILED": RunPhase.FAILED,
    "STOPPED": RunPhase.FAILED,
}


def _prefix(plan: RunPlan) -> str:
    """Return the start of a run's job ids. The run's id is a digest of workspace and task, too, so it is unique."""
    return f"tornio-{plan.run}-"


def _why(details: Any) -> str:
    """Return Ray's message and the end of the job's log. A failure that the job itself has written is more precise."""
    if str(details.status.value) == "STOPPED":
        return "it was cancelled"
    return ended_because(str(details.message or "the Ray job failed without a message"))


def ended_because(message: str) -> str:
    """Return Ray's message about a failed job, with only the end of its log."""
    reason, _, logged = message.partition(", last available logs")
    lines = [line for line in logged.splitlines()[1:] if line.strip()]
    return reason if not lines else f"{reason}: {_short(lines[-_SHOWN_LINES:])}"


def _short(lines: list[str]) -> str:
    text = " / ".join(line.strip() for line in lines)
    return text if len(text) <= _SHOWN else "..." + text[-_SHOWN:]
