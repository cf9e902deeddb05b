"""Perform the loop's outside acts. Each may be done twice, or by two controllers, and takes effect only once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from jobs.running.port import JobRunner
from tornio.annotation.port import AnnotationTool, DatasetSpec, OutgoingRecord
from tornio.errors import Changed
from tornio.labels.events import LabelEvent
from tornio.labels.label_sets import LabelSet, translate_label
from tornio.labels.resolve import annotators_of, by_record
from tornio.loop.acts import (
    Act,
    LogBatch,
    MoveAlias,
    MoveBatch,
    RecordIteration,
    RecordTrial,
    StartRun,
    WithdrawAutomatic,
    WriteAutomatic,
    WriteBatch,
)
from tornio.records import Purpose, Suggestion
from tornio.registry import Registry
from tornio.schemas.task import Batch, BatchItem, SuggestionPart
from tornio.spec import TaskSpec
from tornio.storage import documents
from tornio.storage.port import ObjectStore
from tornio.tasks import Task, withdraw_automatic, write_automatic
from tornio.tasks.progress import is_open, live_records

log = logging.getLogger(__name__)
WHO = "controller"


def dataset_spec(spec: TaskSpec, generation: int) -> DatasetSpec:
    """Return the data set of a task's generation in the annotation tool."""
    return DatasetSpec(
        workspace=spec.workspace,
        name=dataset_name(spec.name, generation),
        labels=spec.labels,
        multi_label=spec.multi_label,
        guidelines=spec.guidelines,
        min_submitted=spec.annotation.min_submitted,
    )


def dataset_name(task: str, generation: int) -> str:
    """Return the name of a generation's data set. No task has a capital letter in its name, so none has this name."""
    return task if generation == 1 else f"{task}-G{generation}"


def dataset_specs(spec: TaskSpec, batch: Batch) -> dict[str, DatasetSpec]:
    """Return the data sets of a batch by name: the task's own, and those where one more annotator answers."""
    whole = dataset_spec(spec, batch.generation)
    return {
        name: whole if name == batch.dataset else replace(whole, name=name, min_submitted=1)
        for name in batch.by_dataset()
    }


@dataclass(frozen=True)
class Performer:
    """Performs acts for one task."""

    store: ObjectStore
    task: Task
    annotation: AnnotationTool
    runner: JobRunner
    clock: Callable[[], datetime]

    def perform(self, act: Act) -> None:
        """Perform one act. Raises TemporaryError when an outside service is unavailable; the next look repeats it."""
        match act:
            case StartRun():
                documents.create_or_get(self.store, self.task.keys.run(act.plan.run).plan, act.plan)
                self.runner.submit(act.plan, act.attempt)
            case WriteBatch():
                self._write_batch(act)
            case MoveBatch():
                self._move_batch(act)
            case LogBatch():
                self._log_batch(act.batch)
            case RecordIteration():
                key = self.task.keys.iteration(act.iteration.number)
                documents.create_or_get(self.store, key, act.iteration)
            case RecordTrial():
                documents.create_or_get(self.store, self.task.keys.trial(act.record.version), act.record)
            case MoveAlias():
                self._move_alias(act)
            case WriteAutomatic():
                write_automatic(self.task, act.run, act.decided, self.clock())
            case WithdrawAutomatic():
                withdraw_automatic(self.task, act.versions)

    def _write_batch(self, act: WriteBatch) -> None:
        if not act.picked.items:
            return
        generation = self.task.document.generation
        batch = Batch(
            batch=act.intent.batch,
            number=act.intent.number,
            generation=generation,
            dataset=dataset_name(self.task.spec.name, generation),
            items=act.picked.items,
            strategy=act.picked.strategy,
            agent=act.picked.agent,
            run=act.run,
            created_at=self.clock(),
        )
        documents.create_or_get(self.store, self.task.keys.batch(batch.batch), batch)

    def _move_batch(self, act: MoveBatch) -> None:
        """Write what the old batch still asks under the present labels. Late answers to the old one count all the
        same."""
        old, _ = documents.load(self.store, self.task.keys.batch(act.intent.moved_from), Batch)
        document, spec = self.task.document, self.task.spec
        sets, since = self.task.label_sets(), self.task.label_set_of(old.generation)
        events = by_record(self.task.label_view().events)
        needed = spec.annotation.min_submitted
        asked = [item for item in old.items if not item.again and is_open(events.get(item.record_id, ()), needed)]
        batch = old.evolve(
            batch=act.intent.batch,
            number=act.intent.number,
            generation=document.generation,
            dataset=dataset_name(spec.name, document.generation),
            items=tuple(_translated(item, sets, since) for item in asked),
            created_at=self.clock(),
        )
        documents.create_or_get(self.store, self.task.keys.batch(batch.batch), batch)

    def _log_batch(self, name: str) -> None:
        batch, _ = documents.load(self.store, self.task.keys.batch(name), Batch)
        spec = self.task.spec
        specs, view = dataset_specs(spec, batch), self.task.view()
        events = by_record(self.task.label_view().events)
        for dataset, items in batch.by_dataset().items():
            ids = live_records((item.record_id for item in items), events)
            texts = dict(zip(ids, (view.texts[row] for row in view.rows_of(ids).tolist()), strict=True))
            records = [
                _outgoing(item, batch, texts[item.record_id], events.get(item.record_id, ()))
                for item in items
                if item.record_id in texts
            ]
            self.annotation.ensure_dataset(specs[dataset])
            self.annotation.log(spec.workspace, dataset, records)

    def _move_alias(self, act: MoveAlias) -> None:
        registry = Registry(self.store, self.task.keys)
        try:
            who, cause = (act.chosen_by, "manual") if act.chosen_by else (WHO, "promotion")
            registry.move(act.alias, act.version, act.expected_revision, who, act.why, cause, trial=act.trial)
        except Changed:  # another writer was first; the loop decides again at the next look
            log.info("%s: %s had moved before %s", self.task.spec.full_name, act.alias, act.version)


def _translated(item: BatchItem, sets: Sequence[LabelSet], since: int) -> BatchItem:
    """Return the item with the labels of now in its suggestion, or without one if the label was removed."""
    if item.suggestion is None:
        return item
    scores = dict[str, float]()
    for label, score in zip(item.suggestion.labels, item.suggestion.scores, strict=True):
        if (now := translate_label(label, sets, since)) is not None:
            scores[now] = max(score, scores.get(now, 0.0))
    suggestion = SuggestionPart(labels=tuple(scores), scores=tuple(scores.values())) if scores else None
    return item.evolve(suggestion=suggestion)


def _outgoing(item: BatchItem, batch: Batch, text: str, events: Iterable[LabelEvent]) -> OutgoingRecord:
    suggestion = item.suggestion if item.purpose is Purpose.QUERY else None
    agent = batch.agent or "unknown"
    return OutgoingRecord(
        record_id=item.record_id,
        text=text,
        batch_id=batch.batch,
        purpose=item.purpose,
        suggestion=Suggestion(suggestion.labels, suggestion.scores, agent) if suggestion else None,
        uncertainty=item.uncertainty if item.purpose is Purpose.QUERY else None,
        model_version=batch.agent if suggestion else None,
        answered_by=frozenset(annotators_of(events) if item.again else ()),
    )
