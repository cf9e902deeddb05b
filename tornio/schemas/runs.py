"""Runs: one execution of a job, whose id is a digest of its inputs."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar

from tornio.schemas.base import Document, Part, Timestamp
from tornio.storage.keys import RunKeys, run_of


class RunPlan(Document):
    """``runs/{run}/plan.json``: the frozen inputs of a run. Whoever knows the plan can do the run."""

    FORMAT: ClassVar[str] = "run-plan"

    run: str
    job: str
    """train, query, label, evaluate, ..."""
    workspace: str
    task: str | None
    args: dict[str, Any]
    """The job's arguments as JSON; everything that its result depends on. Arguments at their default are left out,
    so that a release that knows one more gives the same run the same id."""

    @classmethod
    def of(cls, job: str, workspace: str, task: str | None, args: Part) -> RunPlan:
        """The plan of these inputs, with the id that follows from them."""
        values = args.model_dump(mode="json", exclude_defaults=True)
        inputs = json.dumps([job, workspace, task, values], sort_keys=True, ensure_ascii=False)
        digest = hashlib.sha256(inputs.encode()).hexdigest()[:20]
        return cls(run=f"{job}-{digest}", job=job, workspace=workspace, task=task, args=values)

    @property
    def run_keys(self) -> RunKeys:
        """Where the run lives in the store."""
        return run_of(self.workspace, self.task, self.run)


class RunStarted(Document):
    """``runs/{run}/attempts/{n}/started.json``: put if absent, before the work.

    Whoever finds another worker's, and neither a failure nor a result, knows that this worker died in the attempt.
    """

    FORMAT: ClassVar[str] = "run-started"

    run: str
    job: str
    attempt: int
    worker: str
    """Token of the process that does it; a process that is started again has another."""
    started_at: Timestamp


class RunResult(Document):
    """``runs/{run}/result.json``: put if absent, last. Of two attempts the loser takes the winner's."""

    FORMAT: ClassVar[str] = "run-result"

    run: str
    job: str
    attempt: int
    output: dict[str, Any]
    started_at: Timestamp
    finished_at: Timestamp
    software: dict[str, str] = {}


class RunFailure(Document):
    """``runs/{run}/attempts/{n}/failure.json``: how an attempt ended that has no result."""

    FORMAT: ClassVar[str] = "run-failure"

    run: str
    job: str
    attempt: int
    error: str
    started_at: Timestamp
    ended_at: Timestamp
    final: bool = False
    """What was asked cannot be done, so that trying again would end the same."""


class RunProgress(Document):
    """``runs/{run}/attempts/{n}/progress.json``: how far an attempt is; information only, written over and over."""

    FORMAT: ClassVar[str] = "run-progress"

    run: str
    attempt: int
    stage: str
    """What is being done, in words."""
    done: int
    total: int | None
    unit: str
    """What is counted: rows, steps, ..."""


class RunAsk(Document):
    """``asks/{run}.json``: a run of a task that a user asked for, beside those of the loop; moved only with If-Match.

    The controller starts what is asked for and was not cancelled, and tries again what failed.
    """

    FORMAT: ClassVar[str] = "run-ask"

    run: str
    job: str
    who: str
    asked_at: Timestamp
    after: int = 0
    """The last attempt that had begun before it was asked for, again perhaps: it and those before count no more."""
    cancelled_by: str | None = None
    cancelled_at: Timestamp | None = None
