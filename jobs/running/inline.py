"""A runner that works in this process, for tests and benchmarks."""

from __future__ import annotations

import logging
from collections.abc import Callable

from jobs.running.port import RunPhase, RunStatus
from tornio.errors import TornioError, describe
from tornio.schemas.runs import RunPlan, RunResult

log = logging.getLogger(__name__)
Execute = Callable[[RunPlan, int], RunResult]


class InlineRunner:
    """Runs a plan immediately, in ``submit``. An error of the job is a failed run, as with any runner."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        self._runs: dict[str, RunStatus] = {}

    def submit(self, plan: RunPlan, attempt: int) -> None:
        status = self._runs.get(plan.run)
        if status is not None and (status.phase is RunPhase.DONE or status.attempt >= attempt):
            return
        try:
            self._execute(plan, attempt)
        except (TornioError, ValueError, RuntimeError, OSError) as error:
            log.warning("run %s, attempt %d, failed", plan.run, attempt, exc_info=True)
            self._runs[plan.run] = RunStatus(RunPhase.FAILED, attempt, describe(error))
        else:
            self._runs[plan.run] = RunStatus(RunPhase.DONE, attempt)

    def status(self, plan: RunPlan) -> RunStatus:
        return self._runs.get(plan.run, RunStatus(RunPhase.UNKNOWN))

    def cancel(self, plan: RunPlan) -> None:
        """Do nothing: nothing runs when this can be called."""
