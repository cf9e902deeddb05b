"""The job ``label``: let the teacher label the pool, with a probability of every label for each record."""

from __future__ import annotations

import numpy as np

from jobs.context import JobContext, RunContext
from tornio.api import LabelRequest, TaskName
from tornio.errors import InvalidInput
from tornio.models.teachers import TEACHERS
from tornio.schemas.jobs import LabelArgs, LabelOutput
from tornio.schemas.runs import RunPlan
from tornio.spec import NO_TEACHER

__all__ = ["LabelArgs", "plan", "run"]


def plan(request: LabelRequest, task: TaskName, context: JobContext) -> RunPlan:
    """Return the plan for the pool and the spec that the task has now. Raises InvalidInput, NotFound."""
    opened = context.tasks.open(*task)
    spec, pool_seq = opened.spec, opened.pool.last_seq()
    if spec.teacher.kind == NO_TEACHER:
        raise InvalidInput(f"{task} has no teacher. Set teacher.kind in task.yaml to one of: {', '.join(TEACHERS)}")
    if not pool_seq:
        raise InvalidInput(f"the pool of {task} is empty. Add texts first: tornio pool add {task} FILE")
    teacher = context.loader.teacher_digest(spec.teacher, spec.classifier)
    args = LabelArgs(pool_seq=pool_seq, spec_rev=opened.document.spec_rev, teacher=teacher)
    return RunPlan.of(request.job, *task, args)


def run(args: LabelArgs, context: RunContext) -> LabelOutput:
    """Write the teacher's soft labels of the pool beside it, where trainings read them, and return the folder.

    Parts of the pool that have soft labels of this teacher already are not computed again. Raises InvalidInput where
    the spec has no teacher.
    """
    spec = context.task.spec_at(args.spec_rev)
    labels = context.soft_labels(spec, args.pool_seq)
    missing = int(np.isnan(labels.probabilities).any(axis=1).sum())
    return LabelOutput(
        key=labels.folder,
        records=len(labels.probabilities) - missing,
        agent=labels.agent,
        without=missing,
        tally=dict(labels.tally),
    )
