"""Pull the answers of a review into the label log of the task, or of the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from tornio.annotation.port import AnnotatedRecord, AnnotationTool, ResponseStatus
from tornio.errors import NotFound
from tornio.labels.accounts import Accounts
from tornio.labels.diff import answered_records
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.pull import list_answers, pull
from tornio.pool.view import PoolView
from tornio.records import Purpose, Record, default_record_id
from tornio.review.verdicts import Verdict, precision, verdicts
from tornio.schemas.review import Review, ReviewSyncOutput
from tornio.scoring.ranking import Precision
from tornio.scoring.scored_run import ScoredRow, ScoredRun
from tornio.storage import documents
from tornio.tasks import Task


@dataclass
class ReviewSync:
    """Pulls the answers of a review. It may be polled as often as needed."""

    run: ScoredRun
    annotation: AnnotationTool
    _activity: datetime | None = None
    _accounts: Accounts | None = None

    def poll(self) -> Precision:
        """Append the annotators' new answers, and return the review's progress. Repeats are harmless.

        Raises NotFound if nothing was sent yet or the data set was deleted, and what the annotation tool raises.
        """
        review = find_review(self.run)
        activity = self.activity(review)
        rows = self.run.rows(review.rows)
        if activity is None or activity != self._activity:
            self._accounts = self._accounts or Accounts(self.annotation, review.workspace)
            with _saying_how_to_go_on(self.run):
                _pull_answers(self.run, review, rows, self._accounts)
        self._activity = activity
        return run_precision(self.run)

    def activity(self, review: Review) -> datetime | None:
        """Return when the data set last changed; None if the tool does not say. Raises as ``poll`` does."""
        with _saying_how_to_go_on(self.run):
            return self.annotation.last_activity(review.workspace, review.dataset)


@contextmanager
def _saying_how_to_go_on(run: ScoredRun) -> Iterator[None]:
    try:
        yield
    except NotFound as error:
        raise NotFound(
            f"{error} Answers that were pulled before are kept. `{_how_to_send(run)}` creates the data set again."
        ) from error


def _how_to_send(run: ScoredRun) -> str:
    return f"tornio review send {run.run}" + ("" if run.task is None else f" --task {run.task.full_name}")


def progress(now: Precision) -> ReviewSyncOutput:
    """Return the progress of a review as it is stored and shown."""
    return ReviewSyncOutput(**asdict(now), precision=now.share)


def find_review(run: ScoredRun) -> Review:
    """Return the review of a run. Raises NotFound if nothing was sent."""
    review = stored_review(run)
    if review is None:
        raise NotFound(f"Nothing of run {run.run} was sent to annotators yet. Run `{_how_to_send(run)}`.")
    return review


def stored_review(run: ScoredRun) -> Review | None:
    """Return the review of a run. None: nothing was sent."""
    stored = documents.find(run.store, run.keys.document, Review)
    return None if stored is None else stored[0]


def review_datasets(task: Task) -> list[str]:
    """Return the data sets, in the task's workspace of the annotation tool, of all reviews of its runs."""
    keys = [info.key for info in task.store.list(task.keys.runs) if info.key.endswith("/review.json")]
    return [documents.load(task.store, key, Review)[0].dataset for key in keys]


def run_verdicts(run: ScoredRun) -> dict[str, Verdict]:
    """Return the reviewers' verdicts on the run's texts, by digest, from the log; empty if nothing was sent."""
    review = stored_review(run)
    if review is None:
        return {}
    events = [event for event in run.log.read() if event.dataset == review.dataset]
    digests = _digests(run, review, events)
    return verdicts(events, review.dataset, digests, run.labels, run.multi_label)


def run_precision(run: ScoredRun, found: Mapping[str, Verdict] | None = None) -> Precision:
    """Return how many of the rows that were sent are reviewed so far, and how many of their labels were wrong.

    ``found``: the outcome of ``run_verdicts``, if the caller has it already.
    """
    review = stored_review(run)
    shown = run.rows(review.rows) if review else []
    return precision({row.digest: row.given for row in shown}, run_verdicts(run) if found is None else found)


def targets(rows: Sequence[ScoredRow], view: PoolView, spoken: Mapping[str, str]) -> dict[str, str]:
    """Return the pool record that each row belongs to, by the row's record id. The record may not exist yet.

    The first that exists: the record that the log names for this text in this review (``spoken``: by digest); the
    record with the same id and text; the first record with the same text. Otherwise it is a new record, with another
    id if the pool has the row's id for another text. Pure.
    """
    first: dict[str, str] = {}
    digests = list(view.text_digests)
    for record_id, digest in zip(view.record_ids, digests, strict=True):
        first.setdefault(digest, record_id)

    def of(row: ScoredRow) -> str:
        if (logged := spoken.get(row.digest)) is not None:
            return logged
        place = view.row(row.record_id)
        if place is not None and digests[place] == row.digest:
            return row.record_id
        return first.get(row.digest) or (row.record_id if place is None else default_record_id(row.text))

    return {row.record_id: of(row) for row in rows}


def _pull_answers(run: ScoredRun, review: Review, rows: Sequence[ScoredRow], accounts: Accounts) -> None:
    events = [event for event in run.log.read() if event.dataset == review.dataset]
    if run.task is None:
        target = {row.record_id: row.record_id for row in rows}
    else:
        rows = [row for row in rows if row.digest not in run.deleted and row.record_id not in run.log.deleted()]
        logged = {digest: record_id for record_id, digest in _digests(run, review, events).items()}
        target = targets(rows, run.task.view(), logged)
    by_id = {row.record_id: row for row in rows}

    def read() -> list[AnnotatedRecord]:
        before = answered_records(run.log.read(), review.dataset)
        answered = [record_id for record_id, pool_id in target.items() if pool_id in before]
        listed = list_answers(accounts.annotation, review.workspace, review.dataset, answered)
        ours = [record for record in listed if record.record_id in by_id]
        if run.task is not None:
            _join(run.task, [by_id[record.record_id] for record in ours if _is_answered(record)], target)
        return [replace(record, record_id=target[record.record_id]) for record in ours]

    pull(
        run.log,
        read,
        purposes=dict.fromkeys(target.values(), Purpose.QUERY),
        label_set_rev=run.label_set_rev,
        dataset=review.dataset,
        accounts=accounts,
        answer=EventKind.CORRECTION,
    )


def _join(task: Task, rows: Iterable[ScoredRow], target: Mapping[str, str]) -> None:
    """Add the records that the task is about to get labels for to its pool."""
    view = task.view()
    new = [Record(target[row.record_id], row.text) for row in rows if target[row.record_id] not in view]
    if new:
        task.add_records(new)


def _is_answered(record: AnnotatedRecord) -> bool:
    return any(response.status is not ResponseStatus.DRAFT for response in record.responses)


def _digests(run: ScoredRun, review: Review, events: Iterable[LabelEvent]) -> dict[str, str]:
    """Return the text digest of each record in the events."""
    if run.task is None:
        return {row.record_id: row.digest for row in run.rows(review.rows)}
    view = run.task.view()
    record_ids = {event.record_id for event in events}
    return {one: view.text_digests[place] for one in record_ids if (place := view.row(one)) is not None}
