"""Send the most suspicious rows of a run to annotators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from tornio.annotation.port import AnnotationTool
from tornio.errors import Conflict, InvalidInput
from tornio.review.choose import choose
from tornio.review.present import dataset_spec, outgoing
from tornio.schemas.review import Review
from tornio.scoring.scored_run import ScoredRun
from tornio.storage import documents


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many rows: the ``top`` most suspicious, or all whose loss is above a quantile (within 0 and 1)."""

    top: int | None = None
    loss_quantile: float | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """``rows``: in the data set now; ``new``: of those, how many are there for the first time. ``left_out``: held out,
    or deleted; ``same_id``: with the record id of another text. ``page``: where annotators answer, most suspicious
    first."""

    workspace: str
    dataset: str
    rows: int
    new: int
    left_out: int
    same_id: int
    page: str


def send_review(
    run: ScoredRun, annotation: AnnotationTool, wanted: Wanted, name: str | None = None, reviewers: int = 1
) -> Sent:
    """Show rows of the run as a data set of their own. Sent again, it adds what is lacking and changes no answer.

    What a task holds out is left out, and not even shown without a suggestion: rows come here because a model doubts
    their label, so labels would be corrected only where that model errs, and hold-out labels that were picked so would
    flatter it. The same goes for texts that are not in the pool yet and that the task's keyed hash would hold out.

    ``name``: of the data set, fixed when it is first sent. ``reviewers``: answers after which a record counts as done
    in the tool; the first answer corrects already. Raises Conflict for another name than the first time, InvalidInput
    where nothing is left to show, and what the annotation tool raises.
    """
    review = _document(run, name)
    shown = run.rows(review.rows)
    above = None if wanted.loss_quantile is None else _quantile(run, wanted.loss_quantile)
    chosen = choose(run.most_suspicious(above), wanted.top, run.barred(), shown)
    if not chosen.rows:
        raise InvalidInput(
            f"no row of run {run.run} can be shown ({chosen.left_out} are held out or deleted): ask for more rows"
        )
    places = tuple(row.row for row in chosen.rows)
    # First what is shown, then the showing: a sync takes answers to no other rows.
    review = documents.update(run.store, run.keys.document, Review, lambda there: _with_rows(there, places))
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
    records = [outgoing(row, run.labels, run.run, ranking) for row in chosen.rows]
    annotation.log(review.workspace, review.dataset, records)
    annotation.delete(review.workspace, review.dataset, [row.record_id for row in chosen.gone])
    page = annotation.page(review.workspace, review.dataset, ranking)
    new = len(chosen.rows) - (len(shown) - len(chosen.gone))
    return Sent(review.workspace, review.dataset, len(chosen.rows), new, chosen.left_out, chosen.same_id, page)


def _document(run: ScoredRun, name: str | None) -> Review:
    first = Review(
        run=run.run,
        workspace=run.plan.workspace,
        dataset=name or f"{run.plan.task or 'scores'}-review-{run.run[-8:]}",
        created_at=datetime.now(UTC),
    )
    review = documents.create_or_get(run.store, run.keys.document, first)
    if name is not None and name != review.dataset:
        raise Conflict(f"run {run.run} is reviewed in the data set {review.dataset!r}: leave --name out, or give that")
    return review


def _with_rows(review: Review, places: tuple[int, ...]) -> Review:
    """With these rows; those that another sending has added meanwhile stay."""
    return review.evolve(rows=tuple(dict.fromkeys((*review.rows, *places))))


def _quantile(run: ScoredRun, quantile: float) -> float:
    if not 0 <= quantile < 1:
        raise InvalidInput(f"the quantile must be at least 0 and below 1, found {quantile}: .99 is the top 1 %")
    return float(np.quantile(run.ranked.loss, quantile))
