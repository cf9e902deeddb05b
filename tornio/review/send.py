"""Send the most suspicious rows of a run to annotators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from tornio.annotation.port import AnnotationTool
from tornio.api import REVIEW_MOST, REVIEW_TOP
from tornio.errors import Conflict, InvalidInput
from tornio.review.choose import choose
from tornio.review.present import dataset_spec, outgoing
from tornio.schemas.review import Review, ReviewSendOutput
from tornio.scoring.scored_run import ScoredRun
from tornio.storage import documents


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows to send: the ``top`` most suspicious, or all with a loss above a quantile (between 0 and 1)."""

    top: int | None = None
    loss_quantile: float | None = None


def wanted(top: int | None, loss_quantile: float | None) -> Wanted:
    """Return which rows a user wants: at most one of the two is given. Raises InvalidInput."""
    if top is not None and loss_quantile is not None:
        raise InvalidInput("Rows are chosen by their number or by their loss. Give top or loss_quantile, not both.")
    return Wanted(REVIEW_TOP if top is None and loss_quantile is None else top, loss_quantile)


def send_review(
    run: ScoredRun, annotation: AnnotationTool, rows: Wanted, name: str | None = None, reviewers: int = 1
) -> ReviewSendOutput:
    """Send rows of the run as a data set of their own. Sent again, missing rows are added and no answer is changed.

    Texts that the task holds out are left out, even without a suggestion. Rows are sent because a model doubts their
    label. So labels would be corrected only where that model errs, and such a hold-out would favour it. This also
    applies to texts that are not in the pool yet and that the task's keyed hash would hold out.

    ``name``: name of the data set, fixed when rows are first sent. ``reviewers``: number of answers after which a
    record counts as done in the tool; the first answer is already used. Raises Conflict for another name than the one
    that is fixed, InvalidInput if no row can be shown, and what the annotation tool raises.
    """
    review = _document(run, name)
    shown = run.rows(review.rows)
    above = None if rows.loss_quantile is None else _loss_at(run, rows.loss_quantile)
    chosen = choose(run.most_suspicious(above), rows.top, run.barred(), shown)
    if not chosen.rows:
        raise InvalidInput(
            f"No row of run {run.run} can be shown ({chosen.left_out} belong to the hold-out or are deleted). "
            "Request more rows."
        )
    ranking = run.output.ranking
    annotation.ensure_dataset(
        dataset_spec(
            review.workspace,
            review.dataset,
            run.labels,
            run.multi_label,
            ranking,
            reviewers,
            None if run.task is None else run.task.spec,
        )
    )
    places = tuple(row.row for row in chosen.rows)
    # The rows are stored before they are sent, because answers are only pulled for rows in the review.
    documents.update(run.store, run.keys.document, Review, lambda stored: _with_rows(stored, review.dataset, places))
    records = [outgoing(row, run.labels, run.run, ranking) for row in chosen.rows]
    annotation.log(review.workspace, review.dataset, records)
    annotation.delete(review.workspace, review.dataset, [row.record_id for row in chosen.gone])
    page = annotation.page(review.workspace, review.dataset, ranking)
    new = len(chosen.rows) - (len(shown) - len(chosen.gone))
    return ReviewSendOutput(
        workspace=review.workspace,
        dataset=review.dataset,
        rows=len(chosen.rows),
        new=new,
        left_out=chosen.left_out,
        same_id=chosen.same_id,
        page=page,
    )


def _document(run: ScoredRun, name: str | None) -> Review:
    """Return the review of the run, stored under this name. Raises Conflict if it has rows under another one."""
    first = Review(
        run=run.run,
        workspace=run.plan.workspace,
        dataset=name or f"{run.plan.task or 'scores'}-review-{run.run[-8:]}",
        created_at=datetime.now(UTC),
    )
    review = documents.create_or_get(run.store, run.keys.document, first)
    if name is None or name == review.dataset:
        return review
    return documents.update(run.store, run.keys.document, Review, lambda stored: _renamed(stored, name))


def _renamed(review: Review, name: str) -> Review:
    """Give a review without rows another name: the annotation tool may have refused the first one."""
    if review.rows and name != review.dataset:
        raise Conflict(f"Run {review.run} is reviewed in data set {review.dataset!r}. Omit --name, or give that name.")
    return review.evolve(dataset=name)


def _with_rows(review: Review, dataset: str, places: tuple[int, ...]) -> Review:
    """Add these rows to a review. Rows that another call has added meanwhile are kept."""
    if review.dataset != dataset:
        raise Conflict(f"Another request has just named the review of run {review.run} {review.dataset!r}. Ask again.")
    return review.evolve(rows=tuple(dict.fromkeys((*review.rows, *places))))


def _loss_at(run: ScoredRun, quantile: float) -> float:
    """Return the loss at a quantile. Raises InvalidInput if more rows lie above it than a review may have."""
    if not 0 <= quantile < 1:
        raise InvalidInput(f"The quantile is {quantile}, but must be at least 0 and below 1. Use .99 for the top 1 %.")
    loss = float(np.quantile(run.ranked.loss, quantile))
    if (above := int((run.ranked.loss > loss).sum())) > REVIEW_MOST:
        raise InvalidInput(
            f"{above:,} rows have a loss above the quantile {quantile:g}, but a review shows at most {REVIEW_MOST:,}. "
            "Use a higher quantile, or give top."
        )
    return loss
