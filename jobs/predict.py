"""The job ``predict``: spread the parts of a data set over workers, and then the files that are written.

The steps themselves are in ``tornio.scoring.predicting``, whose docstring tells the walk.
"""

from __future__ import annotations

from jobs.access import check_model, check_readable
from jobs.context import JobContext, RunContext
from jobs.parts import Stages
from jobs.spread import check_precision, do_missing
from tornio.api import PredictRequest, TaskName
from tornio.schemas.runs import RunPlan
from tornio.schemas.scoring import PredictArgs, PredictOutput, ScoreInput
from tornio.scoring.finished import model_name
from tornio.scoring.parts import Parts
from tornio.scoring.predicting.planning import plan_predict
from tornio.scoring.predicting.sources import files_of
from tornio.scoring.predicting.work import PredictPart, stage_texts, summarise, write_top
from tornio.scoring.predicting.writing import PREDICTED, PREDICTIONS, WriteFile, missing_files
from tornio.settings import StorageSettings
from tornio.storage.port import ObjectStore

__all__ = ["STAGES", "PredictArgs", "forget", "plan", "run"]

PREDICT, WRITE = "predict", "write"
STAGES: Stages = {PREDICT: PredictPart, WRITE: WriteFile}


def plan(request: PredictRequest, task: TaskName, context: JobContext) -> RunPlan:
    """Return the plan of a run on the cluster, where a user may not read everything that the cluster can.

    Raises Forbidden, and what ``plan_predict`` raises.
    """
    settings = StorageSettings()
    if request.data is not None:
        check_readable(request.data, task.workspace, settings.bucket, settings.root)
    check_model(request.model or "", task.workspace, settings.bucket, settings.root)
    return plan_predict(request, task.workspace, task, context.store, context.loader)


def run(args: PredictArgs, context: RunContext) -> PredictOutput:
    """Write ``input/``, ``rejected/``, ``predictions/`` and ``predicted/``.

    All of this belongs to the run, not to the attempt: a part or a file that exists is not made again. Raises
    InvalidFile, InvalidInput and Changed for an input that cannot be used, and what a part raises.
    """
    check_precision(args.precision, context)
    store, plan = context.job.store, context.plan
    parts = Parts(context.keys, store)
    staged = stage_texts(args, plan, store, lambda rows: context.progress("reading", rows, None, "rows"))
    rows = [part.rows for part in staged.parts]
    do_missing(context, STAGES, PREDICT, parts.missing(PREDICTIONS, len(rows)), rows)
    do_missing(context, STAGES, WRITE, missing_files(args, plan, store), _of_files(args, staged))
    write_top(plan, args, staged, parts)
    return summarise(args, plan, staged, parts, model_name(args, store))


def forget(plan: RunPlan, store: ObjectStore) -> None:
    """Delete the files that a run has written, and its first rows, because they hold a text that is purged."""
    store.delete([plan.run_keys.top, *(info.key for info in store.list(plan.run_keys.folder(PREDICTED)))])


def _of_files(args: PredictArgs, staged: ScoreInput) -> list[int]:
    """The number of rows of each file."""
    rows = [0] * files_of(args)
    for part in staged.parts:
        rows[part.file] += part.rows
    return rows
