"""Count the records and labels of a task. The loop and the status use the same counts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

from tornio.labels.agreement import Agreement, agreement
from tornio.labels.automatic import Given, given_by_version, standing_labels
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.label_sets import LabelView
from tornio.labels.log import LogView
from tornio.labels.resolve import by_record, deleted_records
from tornio.pool.view import PoolView
from tornio.schemas.task import Batch
from tornio.spec import TaskSpec
from tornio.tasks.again import waiting_again
from tornio.tasks.asking import askable
from tornio.tasks.data import (
    HoldoutSet,
    TrainingSet,
    Undecided,
    count_undecided,
    labels_of,
    reserve,
    select_holdout,
    select_training,
    training_labels,
)
from tornio.tasks.live import LIVE
from tornio.tasks.progress import Progress, batch_progress, live_records
from tornio.tasks.task import Task


@dataclass(frozen=True)
class Counts:
    """The numbers of a task under one spec, one view of its pool and one of its label log.

    Each number is counted when it is first read, and kept.
    """

    task: Task
    spec: TaskSpec
    view: PoolView
    log: LabelView
    batches: tuple[Batch, ...]
    given_seq: int = 0
    """The last sequence number of the log with anything but automatic labels of versions; 0 without any."""
    generation: int = 1

    @cached_property
    def records(self) -> int:
        """Records of the pool that are not deleted."""
        gone = deleted_records(self.log.events)
        return len(self.view) - sum(record_id in self.view for record_id in gone)

    @cached_property
    def live_texts(self) -> int:
        """Those of ``records`` that were sampled from what users sent for a prediction."""
        gone = deleted_records(self.log.events)
        return sum(record_id.startswith(LIVE) and record_id not in gone for record_id in self.view.record_ids)

    @cached_property
    def queryable(self) -> int:
        """Records that a query may still pick."""
        left = askable(self.task, self.view, self.log.events, self.batches, self.spec, self.log.lapsed, self.generation)
        return len(left.open_rows)

    @cached_property
    def training_labels(self) -> Mapping[str, int]:
        """Training texts per label, with every label of the task. A text with several labels counts for each."""
        return labels_of(self._training, self.spec)

    @property
    def training_texts(self) -> int:
        """Texts that train."""
        return len(self._training)

    @cached_property
    def imported_labels(self) -> Mapping[str, int]:
        """The imported ones among the training labels, by models outside too, per class; empty without imports."""
        kinds = (EventKind.IMPORT, EventKind.AUTO)
        imports = [event for event in self.log.events if event.event in kinds and not event.of_version]
        return training_labels(self.task, self.view, imports, self.spec) if imports else {}

    @cached_property
    def automatic_labels(self) -> Mapping[str, int]:
        """The ones among the training labels that a model gave, per class; empty without any."""
        others = [event for event in self.log.events if event.event is not EventKind.AUTO]
        if len(others) == len(self.log.events):
            return {}
        given = training_labels(self.task, self.view, others, self.spec)
        return {name: count - given[name] for name, count in self.training_labels.items()}

    @cached_property
    def given_by_version(self) -> Mapping[str, Given]:
        """How many automatic labels of each version stand, and how many were withdrawn."""
        return given_by_version(self.log.events)

    @cached_property
    def misplaced(self) -> int:
        """Automatic labels of versions on records that are held out by now, such as those of an imported test set."""
        labelled = {record_id for _, record_id in standing_labels(self.log.events)}
        return len(labelled & reserve(self.task, self.view, self.log.events)) if labelled else 0

    @property
    def random_holdout(self) -> int:
        """Hold-out labels by annotators: those of a random part of the pool, as an imported test set need not be."""
        return len(self.holdout) - len(self.holdout.imported)

    @cached_property
    def answered(self) -> int:
        """Texts that people have labelled here, those of the hold-out included: not imported, and not by a model."""
        given = [event for event in self.log.events if event.event not in (EventKind.IMPORT, EventKind.AUTO)]
        if len(given) == len(self.log.events):
            return self.training_texts + len(self.holdout)
        training = select_training(self.view, given, self.spec, self.task.document.holdout_key)
        return len(training) + len(self.holdout) - len(self.holdout.imported)

    @cached_property
    def holdout(self) -> HoldoutSet:
        """The labelled hold-out, and how many records are reserved, discarded and disputed."""
        return select_holdout(self.view, self.log.events, self.spec, self.task.document.holdout_key)

    @cached_property
    def undecided(self) -> Undecided:
        """Texts with answers that give no label."""
        return count_undecided(self.log.events, self.spec)

    @cached_property
    def waiting_again(self) -> Mapping[str, int]:
        """Records that were asked again and have no new answer, by data set of the annotation tool."""
        return waiting_again(self.batches, self._events, self.spec.annotation.min_submitted, self.generation)

    @cached_property
    def agreement(self) -> Agreement | None:
        """Agreement of several annotators. None means that no record has two answers."""
        return agreement(self.log.events)

    def live_records(self, batch: Batch) -> list[str]:
        """Return the records of the batch that the label log does not report as deleted."""
        return live_records((item.record_id for item in batch.items), self._events)

    def progress(self, batch: Batch, deleted: Collection[str] = ()) -> Progress:
        """Return the progress of the batch. ``deleted``: its records that were deleted in the annotation tool.

        A batch does not wait for records that are asked again, because they have enough answers to decide.
        """
        record_ids = (item.record_id for item in batch.items if not item.again)
        return batch_progress(record_ids, self._events, self.spec.annotation.min_submitted, deleted)

    @cached_property
    def _training(self) -> TrainingSet:
        return select_training(self.view, self.log.events, self.spec, self.task.document.holdout_key)

    @cached_property
    def _events(self) -> Mapping[str, list[LabelEvent]]:
        return by_record(self.log.events)


class Counter:
    """Keeps the counts of a task until something is added to it, because resolving a long log is slow. Thread-safe."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._last: tuple[tuple[int, ...], Counts] | None = None
        self._lock = Lock()

    def count(self, log: LogView, batches: tuple[Batch, ...]) -> Counts:
        """Return the counts of the task's present spec and pool with this view of the label log."""
        task = self._task
        (document, spec), view = task.now, task.pool.read()
        key = (view.seq, log.seq, len(batches), document.spec_rev)
        with self._lock:
            if self._last is None or self._last[0] != key:
                labels = task.translated(log)
                counts = Counts(task, spec, view, labels, batches, _given_seq(log), document.generation)
                self._last = (key, counts)
            return self._last[1]


def _given_seq(log: LogView) -> int:
    """Return the last part with anything but automatic labels of versions; 0 without any."""
    parts = reversed(list(enumerate(log.parts, 1)))
    return next((seq for seq, part in parts if not all(event.of_version for event in part)), 0)
