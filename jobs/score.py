"""The job ``score``: spread the parts of a data set over workers. A run that is repeated does only what is missing.

The steps themselves are in ``tornio.scoring``, whose docstring tells the walk.
"""

from __future__ import annotations

from collections.abc import Callable

from jobs.access import check_model, check_readable
from jobs.context import JobContext, RunContext
from jobs.parts import InlineMapper, PartMapper, Stages
from tornio.api import ScoreRequest, TaskName
from tornio.errors import RunFailed
from tornio.review.report import run_report
from tornio.schemas.jobs import ScoreArgs, ScoreInput, ScoreOutput
from tornio.schemas.runs import RunPlan
from tornio.scoring.fitting import fit_scorer
from tornio.scoring.parts import Parts, scored_as
from tornio.scoring.planning import plan_score
from tornio.scoring.ranking import RANKINGS
from tornio.scoring.scored_run import ScoredRun
from tornio.scoring.staging import stage_input
from tornio.scoring.summary import rank_whole, summarise
from tornio.scoring.work import EmbedPart, ScorePart
from tornio.settings import StorageSettings

__all__ = ["STAGES", "ScoreArgs", "plan", "run"]

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
    if context.job.mapper is None and context.job.loader.precision != args.precision:
        raise RunFailed(
            f"the run was planned in {args.precision}, but this node computes in {context.job.loader.precision}. All "
            "parts must have the same precision. Set TORNIO_PRECISION to the same value on all nodes"
        )
    parts = Parts(context.keys, context.job.store)
    staged = stage_input(
        args, context.keys, context.job.store, lambda rows: context.progress("reading", rows, None, "rows")
    )
    mapper = context.job.mapper or InlineMapper(STAGES, context.job.store, context.job.loader)
    if args.folds:
        _map(mapper, EMBED, parts.missing("embeddings", len(staged.parts)), staged, context)
        fit_scorer(args, staged, parts, context.progress)
    _map(mapper, SCORE, parts.missing(scored_as(args), len(staged.parts)), staged, context)
    if RANKINGS[args.ranking].whole:
        rank_whole(args, staged, parts)
    output = summarise(args, staged, parts)
    task = None if context.plan.task is None else context.task
    page = run_report(ScoredRun(context.plan, output, parts.store, task))
    parts.store.put(output.report, page.encode())
    return output


def _map(mapper: PartMapper, stage: str, missing: list[int], staged: ScoreInput, context: RunContext) -> None:
    mapper.run(stage, context.plan, missing, _counter(stage, missing, staged, context))


def _counter(stage: str, missing: list[int], staged: ScoreInput, context: RunContext) -> Callable[[int], None]:
    """Return a function that reports how many rows are done, those of earlier attempts included."""
    done = staged.rows - sum(staged.parts[part].rows for part in missing)

    def count(part: int) -> None:
        nonlocal done
        done += staged.parts[part].rows
        context.progress(f"{stage} rows", done, staged.rows, "rows")

    return count
