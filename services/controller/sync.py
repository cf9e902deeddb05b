"""Answers from the annotation tool into the label log. Polling is the truth, so all of it may be repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.controller.perform import dataset_name
from tornio.annotation.port import AnnotatedRecord, AnnotationTool
from tornio.errors import NotFound
from tornio.labels.diff import answered_records, diff_answers
from tornio.labels.events import LabelEvent
from tornio.schemas.loop import LoopState
from tornio.schemas.task import Batch
from tornio.tasks import Task

SWEEP_EVERY = timedelta(seconds=10)
"""Answers to batches that are closed are looked for no oftener: they count in the next training only."""
SWEEP_ANYWAY = timedelta(hours=1)
"""A user who is deleted, with all answers, does not move the data set's last activity."""
COMPACT_EVERY = 64
"""Parts of the label log after which a snapshot is written, so that a new reader fetches few objects."""


@dataclass(frozen=True, slots=True)
class Polled:
    """Batches, and which of their records the annotation tool has."""

    shown: Mapping[str, frozenset[str]] = field(default_factory=dict)


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

    def poll(self, state: LoopState) -> Polled:
        """Append what annotators did since the last time. Raises what the annotation tool raises."""
        batches = {batch.batch: batch for batch in self.task.batches()}
        wanted = [b.batch for b in state.batches] + ([state.query.batch] if state.query else [])
        shown = {name: self._read(batches[name]) for name in wanted if name in batches}
        self._sweep(state, list(batches.values()))
        self.last = Polled(shown)
        return self.last

    def _read(self, batch: Batch) -> frozenset[str]:
        """Take up what was answered in a batch; returns the records of it that the tool has."""
        ids = [item.record_id for item in batch.items]
        shown: list[AnnotatedRecord] = []

        def read() -> Sequence[AnnotatedRecord]:
            shown[:] = self.annotation.read(self.task.workspace, batch.dataset, ids)
            return shown

        try:
            self._append(batch.dataset, [batch], read, lambda _: ids)
        except NotFound:  # the data set is not there yet: the act that logs the batch creates it
            return frozenset()
        return frozenset(record.record_id for record in shown)

    def _sweep(self, state: LoopState, batches: Sequence[Batch]) -> None:
        """Late answers: a complete listing, when the data set has changed since the last one."""
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
                self._swept_full = now
                listing = lambda: list(self.annotation.sweep(workspace, dataset))  # noqa: E731
                self._append(dataset, sent, listing, lambda known: answered_records(known, dataset))
        except NotFound:
            return
        self._swept_activity, self._swept_at = activity, now

    def _append(
        self,
        dataset: str,
        batches: Sequence[Batch],
        read: Callable[[], Sequence[AnnotatedRecord]],
        listed: Callable[[Sequence[LabelEvent]], Sequence[str] | set[str]],
    ) -> None:
        """Bring the log up to what ``read`` shows. The log is read first: what is gone later is gone for sure."""
        purposes = {item.record_id: item.purpose for batch in batches for item in batch.items}

        def missing() -> list[LabelEvent]:
            known = self.task.labels.read()
            records = [record for record in read() if record.record_id in purposes]
            return diff_answers(
                known.events,
                records,
                purposes=purposes,
                label_set_rev=self.task.document.label_set_rev,
                dataset=dataset,
                complete=True,
                listed=listed(known.events),
            )

        after = self.task.labels.last_seq()
        if events := missing():
            seq = self.task.labels.append(events, after=after, refresh=missing)
            if seq is not None and seq % COMPACT_EVERY == 0:
                self.task.labels.compact(seq)
