"""The jobs of a review: show rows of a score run to annotators, take up their answers, and write the corrected set.

The first two use the annotation tool, whose key the user does not have. See ``tornio.review`` for the work itself.
"""

from __future__ import annotations

from datetime import UTC, datetime

from jobs.context import JobContext, RunContext
from tornio.api import ReviewExportRequest, ReviewSendRequest, ReviewSyncRequest, TaskName
from tornio.review.export import export as export_review
from tornio.review.export import forget
from tornio.review.send import send_review, wanted
from tornio.review.sync import ReviewSync, find_review, progress, stored_review
from tornio.schemas.review import (
    ReviewExportArgs,
    ReviewExportOutput,
    ReviewSendArgs,
    ReviewSendOutput,
    ReviewSyncArgs,
    ReviewSyncOutput,
)
from tornio.schemas.runs import RunPlan
from tornio.scoring.scored_run import ScoredRun

__all__ = [
    "ReviewExportArgs",
    "ReviewSendArgs",
    "ReviewSyncArgs",
    "export",
    "forget",
    "plan_export",
    "plan_send",
    "plan_sync",
    "send",
    "sync",
]


def plan_send(request: ReviewSendRequest, task: TaskName, context: JobContext) -> RunPlan:
    """Return the plan of a run that no other request has, because sending acts on the annotation tool each time.

    Raises InvalidInput for fields that contradict each other, and what ``ScoredRun.of_task`` raises.
    """
    opened = context.tasks.open(*task)
    run = ScoredRun.of_task(opened, request.run)
    chosen = wanted(request.top, request.loss_quantile)
    args = ReviewSendArgs(
        run=run.run,
        top=chosen.top,
        loss_quantile=chosen.loss_quantile,
        name=request.name,
        reviewers=request.reviewers,
        asked_at=datetime.now(UTC),
        spec_rev=opened.document.spec_rev,
    )
    return RunPlan.of(request.job, *task, args)


def plan_sync(request: ReviewSyncRequest, task: TaskName, context: JobContext) -> RunPlan:
    """Return the plan for the present answers. The same answers are the same run.

    Raises NotFound if nothing was sent yet or the data set was deleted, and what ``ScoredRun.of_task`` and the
    annotation tool raise.
    """
    opened = context.tasks.open(*task)
    run = ScoredRun.of_task(opened, request.run)
    review = find_review(run)
    with context.annotation() as annotation:
        activity = ReviewSync(run, annotation).activity(review)
    args = ReviewSyncArgs(
        run=run.run,
        rows=len(review.rows),
        activity=activity or datetime.now(UTC),
        spec_rev=opened.document.spec_rev,
    )
    return RunPlan.of(request.job, *task, args)


def plan_export(request: ReviewExportRequest, task: TaskName, context: JobContext) -> RunPlan:
    """Return the plan for the present rows and answers. The same ones are the same run. Raises as ``of_task``."""
    opened = context.tasks.open(*task)
    run = ScoredRun.of_task(opened, request.run)
    review = stored_review(run)
    args = ReviewExportArgs(
        run=run.run,
        rows=0 if review is None else len(review.rows),
        label_seq=opened.labels.last_seq(),
        spec_rev=opened.document.spec_rev,
    )
    return RunPlan.of(request.job, *task, args)


def send(args: ReviewSendArgs, context: RunContext) -> ReviewSendOutput:
    """Send the rows. An attempt that follows on a failed one sends what is missing."""
    run = ScoredRun.of_task(context.task, args.run)
    with context.job.annotation() as annotation:
        return send_review(run, annotation, wanted(args.top, args.loss_quantile), args.name, args.reviewers)


def sync(args: ReviewSyncArgs, context: RunContext) -> ReviewSyncOutput:
    """Append the answers that are there now to the task's label log."""
    with context.job.annotation() as annotation:
        return progress(ReviewSync(ScoredRun.of_task(context.task, args.run), annotation).poll())


def export(args: ReviewExportArgs, context: RunContext) -> ReviewExportOutput:
    """Write the corrected set and the report, with the answers that the label log has now."""
    run = ScoredRun.of_task(context.task, args.run)
    return export_review(run, context.keys, lambda rows: context.progress("writing", rows, None, "rows"))
