"""Runs: one execution of a job, whose id is a digest of its inputs."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar

from tornio.schemas.base import Document, Timestamp


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
    def of(cls, job: str, workspace: str, task: str | None, args: dict[str, Any]) -> RunPlan:
        """The plan of these inputs, with the id that follows from them."""
        inputs = json.dumps([job, workspace, task, args], sort_keys=True, ensure_ascii=False)
        digest = hashlib.sha256(inputs.encode()).hexdigest()[:20]
        return cls(run=f"{job}-{digest}", job=job, workspace=workspace, task=task, args=args)


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
