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

    ``name``: name of the data set, fixed when it is first sent. ``reviewers``: number of answers after which a record
    counts as done in the tool; the first answer is already used. Raises Conflict for another name than the first time,
    InvalidInput if no row can be shown, and what the annotation tool raises.
    """
    review = _named(run, name)
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
    # The review is stored after its data set was accepted, because its name cannot be changed then. It is stored before
    # its rows are sent, because answers are only pulled for rows in the review.
    stored = documents.create_or_get(run.store, run.keys.document, review)
    if stored.dataset != review.dataset:
        raise Conflict(f"Another request has just named the review of run {run.run} {stored.dataset!r}. Ask again.")
    places = tuple(row.row for row in chosen.rows)
    documents.update(run.store, run.keys.document, Review, lambda stored: _with_rows(stored, places))
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


def _named(run: ScoredRun, name: str | None) -> Review:
    """Return the stored review of the run, or a new one. Raises Conflict if it is stored under another name."""
    stored = documents.find(run.store, run.keys.document, Review)
    if stored is None:
        dataset = name or f"{run.plan.task or 'scores'}-review-{run.run[-8:]}"
        return Review(run=run.run, workspace=run.plan.workspace, dataset=dataset, created_at=datetime.now(UTC))
    review = stored[0]
    if name is not None and name != review.dataset:
        raise Conflict(f"Run {run.run} is reviewed in data set {review.dataset!r}. Omit --name, or give that name.")
    return review


def _with_rows(review: Review, places: tuple[int, ...]) -> Review:
    """Add these rows to a review. Rows that another call has added meanwhile are kept."""
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
