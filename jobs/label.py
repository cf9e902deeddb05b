"""The job ``label``: let the teacher label the pool, a zero-shot proposal for every text."""

from __future__ import annotations

import pyarrow as pa

from jobs.context import JobContext, RunContext
from tornio.api import LabelRequest, TaskName
from tornio.errors import InvalidInput
from tornio.models.decide import decide_labels
from tornio.schemas.jobs import LabelArgs, LabelOutput
from tornio.schemas.runs import RunPlan
from tornio.schemas.tables import SUGGESTIONS
from tornio.spec import TaskSpec
from tornio.tasks import Tasks

__all__ = ["LabelArgs", "plan", "run"]


def plan(request: LabelRequest, task: TaskName, context: JobContext) -> RunPlan:
    """Return the plan for the pool and the spec that the task has now. Raises InvalidInput, NotFound."""
    named = Tasks(context.store).open(*task)
    _check_teacher(named.spec)
    pool_seq = named.pool.last_seq()
    if not pool_seq:
        raise InvalidInput(f"the pool of {task} is empty. Add texts first: tornio pool add {task} FILE")
    return RunPlan.of(request.job, *task, LabelArgs(pool_seq=pool_seq, spec_rev=named.document.spec_rev))


def run(args: LabelArgs, context: RunContext) -> LabelOutput:
    """Write ``suggestions.parquet`` into the attempt's folder and name it.

    Raises InvalidInput when the spec has no teacher.
    """
    spec = context.task.spec_at(args.spec_rev)
    _check_teacher(spec)
    view = context.task.pool.read(args.pool_seq)
    teacher = context.job.loader.teacher(spec.teacher, spec.classifier)
    probabilities = teacher.score(list(view.texts), spec.labels, spec.teacher.templates, spec.multi_label).probabilities
    names = spec.label_names
    chosen = decide_labels(probabilities, names, spec.multi_label)
    rows = [
        {"record_id": record_id, "labels": list(labels), "scores": [float(p[names.index(name)]) for name in labels]}
        for record_id, labels, p in zip(view.record_ids, chosen, probabilities, strict=True)
    ]
    key = context.attempt_folder + "suggestions.parquet"
    table = pa.Table.from_pylist(rows, schema=SUGGESTIONS.columns)
    context.job.store.put(key, SUGGESTIONS.encode(table))
    return LabelOutput(key=key, records=len(rows), agent=teacher.name)


def _check_teacher(spec: TaskSpec) -> None:
    if spec.teacher.kind == "none":
        raise InvalidInput(f"{spec.full_name} has teacher.kind 'none'. Set 'embedding' or 'nli' in task.yaml")
