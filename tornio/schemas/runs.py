"""Runs: a run is one execution of a job, and its id is a digest of its inputs."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar

from tornio.schemas.base import Document, Part, Timestamp
from tornio.schemas.keys import RunKeys, run_of


class RunPlan(Document):
    """``runs/{run}/plan.json``: the frozen inputs of a run. The plan is all that is needed to do the run."""

    FORMAT: ClassVar[str] = "run-plan"

    run: str
    job: str
    """Name of the job: train, query, label, evaluate, ..."""
    workspace: str
    task: str | None
    args: dict[str, Any]
    """The job's arguments as JSON: everything that its result depends on. Arguments at their default are left out, so
    that a release that has a new argument gives the same run the same id."""

    @classmethod
    def of(cls, job: str, workspace: str, task: str | None, args: Part) -> RunPlan:
        """Return the plan of these inputs, with the id that follows from them."""
        values = args.model_dump(mode="json", exclude_defaults=True)
        inputs = json.dumps([job, workspace, task, values], sort_keys=True, ensure_ascii=False)
        digest = hashlib.sha256(inputs.encode()).hexdigest()[:20]
        return cls(run=f"{job}-{digest}", job=job, workspace=workspace, task=task, args=values)

    @property
    def run_keys(self) -> RunKeys:
        """The keys of the run in the store."""
        return run_of(self.workspace, self.task, self.run)


def job_of(run: str) -> str:
    """Return the job of a run, by its id."""
    return run.rpartition("-")[0]


class RunStarted(Document):
    """``runs/{run}/attempts/{n}/started.json``: put if absent, before the work begins.

    If an attempt was started by another worker and has neither a failure nor a result, that worker died in it.
    """

    FORMAT: ClassVar[str] = "run-started"

    run: str
    job: str
    attempt: int
    worker: str
    """Token of the process that does the attempt; a restarted process has another token."""
    started_at: Timestamp


class RunResult(Document):
    """``runs/{run}/result.json``: put if absent, at the end. The slower of two attempts takes the other's result."""

    FORMAT: ClassVar[str] = "run-result"

    run: str
    job: str
    attempt: int
    output: dict[str, Any]
    started_at: Timestamp
    finished_at: Timestamp
    software: dict[str, str] = {}


class RunTop(Document):
    """``runs/{run}/top.json``: the rows of the result that a user looks at first, as text. Written before the result.

    A purge writes it again, without the texts of deleted records.
    """

    FORMAT: ClassVar[str] = "run-top"

    run: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """Each has a cell per column. Texts are cut to 200 characters."""


class RunFailure(Document):
    """``runs/{run}/attempts/{n}/failure.json``: the error of an attempt that ended without a result."""

    FORMAT: ClassVar[str] = "run-failure"

    run: str
    job: str
    attempt: int
    error: str
    started_at: Timestamp
    ended_at: Timestamp
    final: bool = False
    """True if the input is invalid, so that another attempt would end with the same error."""


class RunProgress(Document):
    """``runs/{run}/attempts/{n}/progress.json``: progress of an attempt. Information only; overwritten repeatedly."""

    FORMAT: ClassVar[str] = "run-progress"

    run: str
    attempt: int
    stage: str
    """The present stage, in words."""
    done: int
    total: int | None
    unit: str
    """What ``done`` and ``total`` count: rows, steps, ..."""


class RunAsk(Document):
    """``asks/{run}.json``: a user's request for a run of a task, outside the loop. Written only with If-Match.

    The controller starts requested runs that were not cancelled, and repeats failed ones.
    """

    FORMAT: ClassVar[str] = "run-ask"

    run: str
    job: str
    who: str
    asked_at: Timestamp
    after: int = 0
    """The last attempt that began before the (latest) request. It and earlier attempts no longer count."""
    cancelled_by: str | None = None
    cancelled_at: Timestamp | None = None
