"""Let the teacher label the pool: a probability of every label for each record."""

from __future__ import annotations

from jobs.context import RunContext
from tornio.schemas.jobs import LabelArgs, LabelOutput

__all__ = ["LabelArgs", "run"]


def run(args: LabelArgs, context: RunContext) -> LabelOutput:
    """Write the teacher's soft labels of the pool beside it, where trainings read them, and return the folder.

    Parts of the pool that have soft labels of this teacher already are not computed again. Raises InvalidInput where
    the spec has no teacher.
    """
    spec = context.task.spec_at(args.spec_rev)
    labels = context.soft_labels(spec, args.pool_seq)
    return LabelOutput(key=labels.folder, records=len(labels.probabilities), agent=labels.agent)
