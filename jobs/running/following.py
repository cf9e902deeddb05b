"""Submit a plan to a runner and wait for its result: what the controller does for a server, for a waiting command."""

from __future__ import annotations

import time
from collections.abc import Callable

from jobs.running.execute import next_attempt
from jobs.running.port import JobRunner, RunPhase
from tornio.errors import RunFailed, Unavailable
from tornio.schemas.runs import RunPlan, RunProgress, RunResult
from tornio.storage import documents
from tornio.storage.port import ObjectStore

EVERY_S = 2.0


def follow(
    plan: RunPlan,
    runner: JobRunner,
    store: ObjectStore,
    watch: Callable[[RunPlan, RunProgress], None] = lambda _plan, _progress: None,
    pause: Callable[[float], None] = time.sleep,
) -> RunResult:
    """Return the result of a run. A run that is done is not repeated, and an active one is followed.

    Otherwise the run is started. It continues without the caller, and can be followed again. Raises RunFailed for an
    attempt that fails meanwhile, and what the runner raises at the first try; later, an unreachable API is waited for.
    """
    keys = plan.run_keys
    documents.create_or_get(store, keys.plan, plan)
    followed = 0
    while True:
        done = documents.find(store, keys.result, RunResult)
        if done is not None:
            return done[0]
        status = runner.status(plan)
        if status.phase is RunPhase.RUNNING:
            followed = max(followed, status.attempt)
        elif status.phase is RunPhase.FAILED and 0 < followed <= status.attempt:
            raise RunFailed(f"run {plan.run}, attempt {status.attempt}: {status.error}")
        elif status.phase is not RunPhase.DONE:
            attempt = followed or max(status.attempt + 1, next_attempt(plan, store))
            try:
                runner.submit(plan, attempt)
            except Unavailable:
                if not followed:
                    raise
            followed = attempt
        progress = documents.find(store, keys.progress(followed), RunProgress) if followed else None
        if progress is not None:
            watch(plan, progress[0])
        pause(EVERY_S)
