"""Score a labelled data set by its loss. This spreads the parts; a run that is repeated does only what is missing."""

from __future__ import annotations

from collections.abc import Callable

from jobs.context import RunContext
from jobs.parts import InlineMapper, PartMapper, Stages
from tornio.errors import RunFailed
from tornio.review.report import run_report
from tornio.schemas.jobs import ScoreArgs, ScoreInput, ScoreOutput
from tornio.scoring.fitting import fit_heads
from tornio.scoring.parts import Parts, scored_as
from tornio.scoring.ranking import RANKINGS
from tornio.scoring.scored_run import ScoredRun
from tornio.scoring.staging import stage_input
from tornio.scoring.summary import rank_whole, summarise
from tornio.scoring.work import EmbedPart, ScorePart

__all__ = ["STAGES", "ScoreArgs", "run"]

EMBED, SCORE = "embed", "score"
STAGES: Stages = {EMBED: EmbedPart, SCORE: ScorePart}


def run(args: ScoreArgs, context: RunContext) -> ScoreOutput:
    """Write ``input/``, ``rejected/``, with folds ``embeddings/`` and the heads, ``scores/`` and the report.

    All of it belongs to the run, not to the attempt: parts that stand are not done again. Raises InvalidFile,
    InvalidInput and Changed for an input that cannot be used, and what a part raises.
    """
    if context.job.mapper is None and context.job.loader.precision != args.precision:
        raise RunFailed(
            f"the run was planned in {args.precision} and this node computes in {context.job.loader.precision}: its "
            "parts would not be alike; set TORNIO_PRECISION alike on all nodes"
        )
    parts = Parts(context.keys, context.job.store)
    staged = stage_input(
        args, context.keys, context.job.store, lambda rows: context.progress("reading", rows, None, "rows")
    )
    mapper = context.job.mapper or InlineMapper(STAGES, context.job.store, context.job.loader)
    if args.folds:
        _map(mapper, EMBED, parts.missing("embeddings", len(staged.parts)), staged, context)
        fit_heads(args, staged, parts, context.progress)
    _map(mapper, SCORE, parts.missing(scored_as(args), len(staged.parts)), staged, context)
    if RANKINGS[args.ranking].whole:
        rank_whole(args, staged, parts)
    output = summarise(args, staged, parts)
    task = None if context.plan.task is None else context.task
    page = run_report(ScoredRun(context.plan, output, parts.store, task))
    parts.store.put(output.report, page.encode())
    return output


def _map(mapper: PartMapper, stage: str, missing: list[int], staged: ScoreInput, context: RunContext) -> None:
    mapper.run(stage, context.plan, missing, _teller(stage, missing, staged, context))


def _teller(stage: str, missing: list[int], staged: ScoreInput, context: RunContext) -> Callable[[int], None]:
    """Tells how many rows are done: those of earlier attempts, and of each part that comes."""
    done = staged.rows - sum(staged.parts[part].rows for part in missing)

    def tell(part: int) -> None:
        nonlocal done
        done += staged.parts[part].rows
        context.progress(f"{stage} rows", done, staged.rows, "rows")

    return tell
