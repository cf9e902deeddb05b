"""Answers from the annotation tool into the label log. Polling is the truth, so all of it may be repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.controller.perform import dataset_name
from tornio.annotation.port import AnnotatedRecord, AnnotationTool
from tornio.errors import NotFound
from tornio.labels.diff import answered_records
from tornio.labels.pull import list_answers, pull
from tornio.schemas.loop import LoopState
from tornio.schemas.task import Batch
from tornio.tasks import Task

SWEEP_EVERY = timedelta(seconds=10)
"""Answers to batches that are closed are looked for no oftener: they count in the next training only."""
SWEEP_ANYWAY = timedelta(hours=1)
"""A user who is deleted, with all answers, does not move the data set's last activity."""
GONE_AFTER = timedelta(minutes=2)
"""How long a record must be missing from the annotation tool before it counts as deleted there: a search index that
lags, or is built anew, misses records that are there."""


@dataclass(frozen=True, slots=True)
class Polled:
    """By batch: the records that the annotation tool showed, those that were deleted there, and whether the whole
    data set is gone."""

    shown: Mapping[str, frozenset[str]] = field(default_factory=dict)
    deleted: Mapping[str, frozenset[str]] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()


@dataclass
class Sync:
    """Reads open batches in full each time, and sweeps the rest when the data set has moved."""

    task: Task
    annotation: AnnotationTool
    clock: Callable[[], datetime]
    last: Polled = field(default_factory=Polled)
    _swept_activity: datetime | None = None
    _swept_at: datetime | None = None
    _swept_full: datetime | None = None
    _missing_since: dict[str, datetime] = field(default_factory=dict)

    def poll(self, state: LoopState) -> Polled:
        """Append what annotators did since the last time. Raises what the annotation tool raises."""
        batches = {batch.batch: batch for batch in self.task.batches()}
        wanted = [b.batch for b in state.batches] + ([state.query.batch] if state.query else [])
        found = {name: self._read(batches[name]) for name in wanted if name in batches}
        self._sweep(state, list(batches.values()))
        shown = {name: records for name, records in found.items() if records is not None}
        deleted = {name: self._deleted(batches[name], records) for name, records in shown.items()}
        self.last = Polled(shown, deleted, frozenset(name for name in found if name not in shown))
        return self.last

    def _deleted(self, batch: Batch, shown: frozenset[str]) -> frozenset[str]:
        """Records of the batch that have been missing for long; none where all are: that is no way to delete."""
        now = self.clock()
        missing = {item.record_id for item in batch.items} - shown
        for record_id in shown:
            self._missing_since.pop(record_id, None)
        if not shown:
            return frozenset()
        since = {record_id: self._missing_since.setdefault(record_id, now) for record_id in missing}
        return frozenset(record_id for record_id, moment in since.items() if now - moment >= GONE_AFTER)

    def _read(self, batch: Batch) -> frozenset[str] | None:
        """Take up what was answered in a batch; returns the records of it that the tool shows, None where there is
        no data set."""
        ids = [item.record_id for item in batch.items]
        shown: list[AnnotatedRecord] = []

        def read() -> Sequence[AnnotatedRecord]:
            shown[:] = self.annotation.read(self.task.workspace, batch.dataset, ids)
            return shown

        try:
            self._append(batch.dataset, [batch], read)
        except NotFound:  # not there yet, or not any more: the act that logs the batch makes it
            return None
        return frozenset(record.record_id for record in shown)

    def _sweep(self, state: LoopState, batches: Sequence[Batch]) -> None:
        """Late answers: a complete listing, when the data set has changed since the last one.

        An answer that the listing lacks is withdrawn where the tool still shows its record. A record that is gone
        from the tool, with the whole data set or by itself, takes no label with it.
        """
        dataset = dataset_name(self.task.name, state.generation)
        sent = [batch for batch in batches if batch.dataset == dataset]
        now = self.clock()
        if not sent or (self._swept_at is not None and now - self._swept_at < SWEEP_EVERY):
            return
        workspace = self.task.workspace
        try:
            activity = self.annotation.last_activity(workspace, dataset)
            overdue = self._swept_full is None or now - self._swept_full > SWEEP_ANYWAY
            if overdue or activity is None or activity != self._swept_activity:
                self._append(dataset, sent, lambda: self._listing(dataset))
                self._swept_full = now
        except NotFound:
            return
        self._swept_activity, self._swept_at = activity, now

    def _listing(self, dataset: str) -> list[AnnotatedRecord]:
        """All records with responses, and those that had one and are still there."""
        answered = answered_records(self.task.labels.read(), dataset)
        return list_answers(self.annotation, self.task.workspace, dataset, answered)

    def _append(self, dataset: str, batches: Sequence[Batch], read: Callable[[], Sequence[AnnotatedRecord]]) -> None:
        purposes = {item.record_id: item.purpose for batch in batches for item in batch.items}
        rev = self.task.document.label_set_rev
        pull(self.task.labels, read, purposes=purposes, label_set_rev=rev, dataset=dataset)
