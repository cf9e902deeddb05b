"""The job ``score``: spread the parts of a data set over workers. A run that is repeated does only what is missing.

The steps themselves are in ``tornio.scoring``, whose docstring tells the walk.
"""

from __future__ import annotations

from jobs.access import check_model, check_readable
from jobs.context import JobContext, RunContext
from jobs.parts import Stages
from jobs.spread import check_precision, do_missing
from tornio.api import ScoreRequest, TaskName
from tornio.review.report import write_shown
from tornio.schemas.runs import RunPlan, RunResult
from tornio.schemas.scoring import ScoreArgs, ScoreOutput
from tornio.scoring.fitting import fit_scorer
from tornio.scoring.parts import Parts, scored_as
from tornio.scoring.planning import plan_score
from tornio.scoring.ranking import RANKINGS
from tornio.scoring.scored_run import ScoredRun
from tornio.scoring.staging import stage_input
from tornio.scoring.summary import rank_whole, summarise
from tornio.scoring.work import EmbedPart, ScorePart
from tornio.settings import StorageSettings
from tornio.storage import documents
from tornio.storage.port import ObjectStore

__all__ = ["STAGES", "ScoreArgs", "forget", "plan", "run"]

EMBED, SCORE = "embed", "score"
STAGES: Stages = {EMBED: EmbedPart, SCORE: ScorePart}


def plan(request: ScoreRequest, task: TaskName, context: JobContext) -> RunPlan:
    """Return the plan of a run on the cluster, where a user may not read everything that the cluster can.

    Raises Forbidden, and what ``plan_score`` raises.
    """
    settings = StorageSettings()
    check_readable(request.data, task.workspace, settings.bucket, settings.root)
    check_model(request.model or "", task.workspace, settings.bucket, settings.root)
    return plan_score(request, task.workspace, task, context.store, context.loader)


def run(args: ScoreArgs, context: RunContext) -> ScoreOutput:
    """Write ``input/``, ``rejected/``, ``scores/`` and the report, and with folds ``embeddings/`` and ``scorer/``.

    All of this belongs to the run, not to the attempt: a part that exists is not computed again. Raises InvalidFile,
    InvalidInput and Changed for an input that cannot be used, and what a part raises.
    """
    check_precision(args.precision, context)
    parts = Parts(context.keys, context.job.store)
    staged = stage_input(
        args, context.keys, context.job.store, lambda rows: context.progress("reading", rows, None, "rows")
    )
    rows = [part.rows for part in staged.parts]
    if args.folds:
        do_missing(context, STAGES, EMBED, parts.missing("embeddings", len(rows)), rows)
        fit_scorer(args, staged, parts, context.progress)
    do_missing(context, STAGES, SCORE, parts.missing(scored_as(args), len(rows)), rows)
    if RANKINGS[args.ranking].whole:
        rank_whole(args, staged, parts)
    output = summarise(args, staged, parts)
    task = None if context.plan.task is None else context.task
    write_shown(ScoredRun(context.plan, output, parts.store, task))
    return output


def forget(plan: RunPlan, store: ObjectStore) -> None:
    """Write again what is shown of a finished run, because it may have a text that is purged."""
    if documents.find(store, plan.run_keys.result, RunResult) is not None:
        write_shown(ScoredRun.open(store, plan.run, plan.workspace))
