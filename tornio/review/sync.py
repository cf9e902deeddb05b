"""Answers of a review into the log: the task's, or the run's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tornio.annotation.port import AnnotatedRecord, AnnotationTool, ResponseStatus
from tornio.errors import NotFound
from tornio.labels.diff import answered_records
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.pull import list_answers, pull
from tornio.pool.view import PoolView
from tornio.records import Purpose, Record, default_record_id
from tornio.review.verdicts import Verdict, precision, verdicts
from tornio.schemas.review import Review
from tornio.scoring.ranking import Precision
from tornio.scoring.scored_run import ScoredRow, ScoredRun
from tornio.storage import documents
from tornio.tasks import Task


@dataclass
class ReviewSync:
    """Reads the data set of a review as often as asked."""

    run: ScoredRun
    annotation: AnnotationTool
    _activity: datetime | None = None

    def poll(self) -> Precision:
        """Append what annotators did since the last time; replays do no harm. Says how it stands.

        Raises NotFound where nothing was sent yet, or where the data set is gone, and what the annotation tool raises.
        """
        review = find_review(self.run)
        rows = self.run.rows(review.rows)
        try:
            activity = self.annotation.last_activity(review.workspace, review.dataset)
            if activity is None or activity != self._activity:
                _take_up(self.run, review, rows, self.annotation)
        except NotFound as error:
            raise NotFound(
                f"{error}; answers that came before are kept, and `tornio review send {self.run.run}` makes the data "
                "set again"
            ) from error
        self._activity = activity
        return run_precision(self.run)


def find_review(run: ScoredRun) -> Review:
    """What was sent of a run. Raises NotFound."""
    found = documents.find(run.store, run.keys.document, Review)
    if found is None:
        raise NotFound(f"nothing of run {run.run} was sent to annotators: tornio review send {run.run}")
    return found[0]


def run_verdicts(run: ScoredRun) -> dict[str, Verdict]:
    """What reviewers say of the run's texts, by their digest, as the log stands; empty where nothing was sent."""
    found = documents.find(run.store, run.keys.document, Review)
    if found is None:
        return {}
    events = [event for event in run.log.read() if event.dataset == found[0].dataset]
    digests = _digests(run, found[0], events)
    return verdicts(events, found[0].dataset, digests, run.labels, run.multi_label)


def run_precision(run: ScoredRun, found: Mapping[str, Verdict] | None = None) -> Precision:
    """How many of the rows that were sent were reviewed so far, and how many of their labels were wrong.

    ``found``: what ``run_verdicts`` says, for who has asked already.
    """
    review = documents.find(run.store, run.keys.document, Review)
    shown = run.rows(review[0].rows) if review else []
    return precision({row.digest: row.given for row in shown}, run_verdicts(run) if found is None else found)


def targets(rows: Sequence[ScoredRow], view: PoolView, spoken: Mapping[str, str]) -> dict[str, str]:
    """The record of the pool that each row stands for, by the row's record id; it may not be there yet.

    The one that the log has spoken of in this review (``spoken``: by digest); the one of the same id and text; the
    first of the same text; else a new one, under an own id where the pool has its id for another text. Pure.
    """
    first: dict[str, str] = {}
    digests = list(view.text_digests)
    for record_id, digest in zip(view.record_ids, digests, strict=True):
        first.setdefault(digest, record_id)

    def of(row: ScoredRow) -> str:
        if (known := spoken.get(row.digest)) is not None:
            return known
        place = view.row(row.record_id)
        if place is not None and digests[place] == row.digest:
            return row.record_id
        return first.get(row.digest) or (row.record_id if place is None else default_record_id(row.text))

    return {row.record_id: of(row) for row in rows}


def _take_up(run: ScoredRun, review: Review, rows: Sequence[ScoredRow], annotation: AnnotationTool) -> None:
    by_id = {row.record_id: row for row in rows}
    known = [event for event in run.log.read() if event.dataset == review.dataset]
    if run.task is None:
        target = {record_id: record_id for record_id in by_id}
    else:
        spoken = {digest: record_id for record_id, digest in _digests(run, review, known).items()}
        target = targets(rows, run.task.pool.read(), spoken)

    def read() -> list[AnnotatedRecord]:
        before = answered_records(run.log.read(), review.dataset)
        answered = [record_id for record_id, there in target.items() if there in before]
        found = list_answers(annotation, review.workspace, review.dataset, answered)
        ours = [record for record in found if record.record_id in by_id]
        if run.task is not None:
            _join(run.task, [by_id[record.record_id] for record in ours if _is_answered(record)], target)
        return [replace(record, record_id=target[record.record_id]) for record in ours]

    pull(
        run.log,
        read,
        purposes=dict.fromkeys(target.values(), Purpose.QUERY),
        label_set_rev=run.label_set_rev,
        dataset=review.dataset,
        answer=EventKind.CORRECTION,
    )


def _join(task: Task, rows: Iterable[ScoredRow], target: Mapping[str, str]) -> None:
    """What the task learns a label of joins its pool first."""
    view = task.pool.read()
    new = [Record(target[row.record_id], row.text) for row in rows if target[row.record_id] not in view]
    if new:
        task.add_records(new)


def _is_answered(record: AnnotatedRecord) -> bool:
    return any(response.status is not ResponseStatus.DRAFT for response in record.responses)


def _digests(run: ScoredRun, review: Review, events: Iterable[LabelEvent]) -> dict[str, str]:
    """Digest of the text of each record that the events speak of."""
    if run.task is None:
        return {row.record_id: row.digest for row in run.rows(review.rows)}
    view = run.task.pool.read()
    spoken = {event.record_id for event in events}
    return {one: view.text_digests[place] for one in spoken if (place := view.row(one)) is not None}
