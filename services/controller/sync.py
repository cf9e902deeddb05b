"""Pull answers from the annotation tool into the label log. Everything here may safely be repeated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tornio.annotation.port import AnnotatedRecord, AnnotationTool
from tornio.errors import NotFound
from tornio.labels.accounts import Accounts
from tornio.labels.diff import answered_records, answering
from tornio.labels.pull import list_answers, pull, responding
from tornio.records import Purpose
from tornio.review.sync import review_datasets
from tornio.schemas.loop import LoopState
from tornio.schemas.task import Batch, BatchItem
from tornio.tasks import Task

SWEEP_EVERY = timedelta(seconds=10)
"""Interval between sweeps for answers to closed batches. It may be long, as they only count in the next training."""
SWEEP_ANYWAY = timedelta(hours=1)
"""Interval of sweeps without activity: deleting a user with all answers does not change the data set's activity."""
GONE_AFTER = timedelta(minutes=2)
"""How long a record must be missing from the annotation tool before it counts as deleted there. A search index that
lags, or is being rebuilt, misses existing records."""


@dataclass(frozen=True, slots=True)
class Polled:
    """The records that the annotation tool showed (``shown``) and those deleted there (``deleted``), by batch.

    ``lost``: batches whose whole data set does not exist. ``gone``: annotators with answers whose accounts do not exist
    any more, by name, or by id where this controller has not seen the name. ``accounts``: names of annotators, by id.
    ``batches``: all batches, as they were before.
    """

    shown: Mapping[str, frozenset[str]] = field(default_factory=dict)
    deleted: Mapping[str, frozenset[str]] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()
    gone: tuple[str, ...] = ()
    accounts: Mapping[str, str] = field(default_factory=dict)
    batches: tuple[Batch, ...] = ()

    @property
    def datasets(self) -> frozenset[str]:
        """The data sets of all batches."""
        return frozenset(dataset for batch in self.batches for dataset in batch.by_dataset())


@dataclass(frozen=True, slots=True)
class _Swept:
    """The last sweep of a data set: its activity then, when it was looked at, and when it was listed in full."""

    activity: datetime | None = None
    at: datetime | None = None
    full: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Sent:
    """What a data set was sent: the generation of its batches, and the purposes of its records."""

    generation: int
    purposes: dict[str, Purpose] = field(default_factory=dict)


@dataclass
class Sync:
    """Reads open batches in full each time, and sweeps the others when the data set has changed."""

    task: Task
    annotation: AnnotationTool
    clock: Callable[[], datetime]
    last: Polled = field(default_factory=Polled)
    _swept: dict[str, _Swept] = field(default_factory=dict)
    """The last sweep of each data set."""
    _missing_since: dict[str, datetime] = field(default_factory=dict)
    _erase_at: dict[str, datetime | None] = field(default_factory=dict)
    """When each deleted record is deleted in the annotation tool next; None: no more."""
    _accounts: Accounts = field(init=False)

    def __post_init__(self) -> None:
        self._accounts = Accounts(self.annotation, self.task.workspace)

    def poll(self, state: LoopState) -> Polled:
        """Append the annotators' new answers. Raises what the annotation tool raises."""
        present = self.task.document.generation  # another controller may have written batches of a later one meanwhile
        batches = {batch.batch: batch for batch in self.task.batches() if batch.generation <= present}
        wanted = [b.batch for b in state.batches] + ([state.query.batch] if state.query else [])
        self._erase(batches.values())
        read = {name: self._read(batches[name]) for name in wanted if name in batches}
        self._sweep(batches.values())
        shown = {name: records for name, records in read.items() if records is not None}
        deleted = {name: self._deleted(batches[name], records) for name, records in shown.items()}
        lost = frozenset(name for name in read if name not in shown)
        names, every = dict(self._accounts.names), tuple(batches.values())
        self.last = Polled(shown, deleted, lost, self._accounts.gone_names, names, every)
        return self.last

    def _erase(self, batches: Iterable[Batch]) -> None:
        """Delete the records in the annotation tool that were deleted from the task, with their responses.

        They are deleted again two minutes later, because the tool's search index may not have known them yet. Whatever
        of them an open batch or a sweep still shows is also deleted: see ``_append``.
        """
        now = self.clock()
        times = {one: self._erase_at.get(one, now) for one in self.task.labels.read().deleted}
        due = {one for one, at in times.items() if at is not None and at <= now}
        if not due:
            return
        sent = defaultdict[str, set[str]](set)
        for batch in batches:
            for dataset, items in batch.by_dataset().items():
                sent[dataset] |= {item.record_id for item in items}
        for dataset in review_datasets(self.task):
            sent[dataset] = due
        for dataset, there in sent.items():
            if due & there:
                with suppress(NotFound):  # the data set is gone, and the record with it
                    self.annotation.delete(self.task.workspace, dataset, sorted(due & there))
        for one in due:
            self._erase_at[one] = None if one in self._erase_at else now + GONE_AFTER

    def _deleted(self, batch: Batch, shown: frozenset[str]) -> frozenset[str]:
        """Return the records that have been missing for long; none if all are missing, which is no deletion."""
        now = self.clock()
        missing = {item.record_id for item in batch.items} - shown
        for record_id in shown:
            self._missing_since.pop(record_id, None)
        if not shown:
            return frozenset()
        since = {record_id: self._missing_since.setdefault(record_id, now) for record_id in missing}
        return frozenset(record_id for record_id, moment in since.items() if now - moment >= GONE_AFTER)

    def _read(self, batch: Batch) -> frozenset[str] | None:
        """Pull the answers of a batch. Returns its records that the tool shows, or None if there is no data set."""
        shown: set[str] = set()
        for dataset, items in batch.by_dataset().items():
            records: list[AnnotatedRecord] = []

            def read(
                dataset: str = dataset, items: Sequence[BatchItem] = items, records: list[AnnotatedRecord] = records
            ) -> Sequence[AnnotatedRecord]:
                ids = [item.record_id for item in items]
                records[:] = self.annotation.read(self.task.workspace, dataset, ids)
                return records

            try:
                self._append(dataset, _Sent(batch.generation, _purposes(items)), read)
            except NotFound:  # the act that logs the batch creates the data set
                return None
            shown |= {record.record_id for record in records}
        return frozenset(shown)

    def _sweep(self, batches: Iterable[Batch]) -> None:
        """Pull late answers to every data set of the task, those of earlier generations included."""
        sent: dict[str, _Sent] = {}
        for batch in batches:
            for dataset, items in batch.by_dataset().items():
                sent.setdefault(dataset, _Sent(batch.generation)).purposes.update(_purposes(items))
        for dataset, of_dataset in sent.items():
            self._sweep_dataset(dataset, of_dataset)

    def _sweep_dataset(self, dataset: str, sent: _Sent) -> None:
        """Pull late answers by a complete listing, if the data set has changed since the last one.

        An answer that the listing lacks is withdrawn if the tool still shows its record, and still has the account of
        its annotator. A record that was deleted from the tool, alone or with the whole data set, keeps its labels.
        """
        now, last = self.clock(), self._swept.get(dataset, _Swept())
        if last.at is not None and now - last.at < SWEEP_EVERY:
            return
        full = last.full
        try:
            activity = self.annotation.last_activity(self.task.workspace, dataset)
            overdue = full is None or now - full > SWEEP_ANYWAY
            if overdue or activity is None or activity != last.activity:
                listing: list[AnnotatedRecord] = []

                def read() -> Sequence[AnnotatedRecord]:
                    listing[:] = self._listing(dataset)
                    return listing

                self._append(dataset, sent, read)
                self._accounts.gone(answering(self.task.labels.read()), responding(listing))
                full = now
        except NotFound:
            return
        self._swept[dataset] = _Swept(activity, now, full)

    def _listing(self, dataset: str) -> list[AnnotatedRecord]:
        """Return all records with responses, and records that had one and still exist."""
        answered = answered_records(self.task.labels.read(), dataset)
        return list_answers(self.annotation, self.task.workspace, dataset, answered)

    def _append(self, dataset: str, sent: _Sent, read: Callable[[], Sequence[AnnotatedRecord]]) -> None:
        rev = self.task.label_set_of(sent.generation)

        def living() -> Sequence[AnnotatedRecord]:
            records, gone = read(), self.task.labels.deleted()
            if shown := sorted({record.record_id for record in records} & gone):
                self.annotation.delete(self.task.workspace, dataset, shown)
            return [record for record in records if record.record_id not in gone]

        pull(
            self.task.labels,
            living,
            purposes=sent.purposes,
            label_set_rev=rev,
            dataset=dataset,
            accounts=self._accounts,
        )


def _purposes(items: Sequence[BatchItem]) -> dict[str, Purpose]:
    return {item.record_id: item.purpose for item in items}
