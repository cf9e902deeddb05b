"""The tasks of a fake server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tornio import api
from tornio.errors import ChangeRefused, Conflict, InvalidInput, NotFound, NotServable
from tornio.records import Prediction, default_record_id
from tornio.spec import TaskSpec
from tornio.testing.answers import Choice, Rule, choose


@dataclass
class FakeTask:
    """What a fake server knows of a task. ``shown``: fields of its status that the test set."""

    spec: TaskSpec
    rev: int = 1
    records: dict[str, str] = field(default_factory=dict)
    labels: dict[str, api.LabelIn] = field(default_factory=dict)
    serving: api.Serving | None = None
    asks: api.AsksStatus = field(default_factory=api.AsksStatus)
    versions: list[api.VersionOut] = field(default_factory=list)
    shown: dict[str, Any] = field(default_factory=dict)
    rule: Rule | None = None
    otherwise: Choice | None = None

    def serve(self, version: str, who: str = "controller", why: str = "it passed the gate") -> api.Serving:
        before = self.serving
        self.serving = api.Serving(
            version=version,
            revision=before.revision + 1 if before else 1,
            previous=before.version if before else None,
            who=who,
            why=why,
            since=datetime.now(UTC),
        )
        return self.serving

    def status(self) -> api.TaskStatus:
        counts = dict.fromkeys(self.spec.label_names, 0)
        for label in self.labels.values():
            for name in label.labels:
                counts[name] += 1
        status = api.TaskStatus(
            workspace=self.spec.workspace,
            task=self.spec.name,
            phase="paused" if self.asks.paused else "labelling",
            why="you paused it" if self.asks.paused else "it is a task of a fake server",
            spec_rev=self.rev,
            generation=1,
            label_set_rev=1,
            labels=list(self.spec.label_names),
            multi_label=self.spec.multi_label,
            pool=len(self.records),
            training_texts=len(self.labels),
            training_labels=counts,
            holdout=api.HoldoutStatus(),
            serving=self.serving,
            stop=api.StopStatus(criterion="kappa-average", threshold=0.99),
            asks=self.asks,
        )
        return api.TaskStatus.model_validate(status.model_dump() | self.shown)

    def apply(self, spec: TaskSpec) -> api.Applied:
        if spec.multi_label != self.spec.multi_label:
            raise ChangeRefused("multi_label cannot change on a task that exists: create a new task")
        if gone := set(self.spec.label_names) - set(spec.label_names):
            raise ChangeRefused(f"{sorted(gone)} would be removed, and a fake server migrates no labels")
        changes = [] if spec == self.spec else ["the spec changed"]
        self.rev += len(changes)
        self.spec = spec
        return self._applied(False, changes)

    def _applied(self, created: bool, changes: list[str]) -> api.Applied:
        name = self.spec
        return api.Applied(
            workspace=name.workspace, task=name.name, created=created, spec_rev=self.rev, changes=changes
        )

    def add_records(self, records: Sequence[api.RecordIn]) -> api.RecordsAdded:
        new = {record.record_id or default_record_id(record.text): record.text for record in records}
        known = len(new.keys() & self.records.keys())
        self.records |= new
        return api.RecordsAdded(added=len(new) - known, known=known)

    def import_labels(self, labels: Sequence[api.LabelIn]) -> api.LabelsImported:
        for label in labels:
            if unknown := set(label.labels) - set(self.spec.label_names):
                raise InvalidInput(f"unknown labels {sorted(unknown)}: the task has {list(self.spec.label_names)}")
        new = {label.record_id or default_record_id(label.text): label for label in labels}
        unchanged = sum(self.labels.get(name) == label for name, label in new.items())
        added = len(new.keys() - self.records.keys())
        self.labels |= new
        self.records |= {name: label.text for name, label in new.items()}
        return api.LabelsImported(imported=len(new) - unchanged, unchanged=unchanged, records_added=added)

    def export(self) -> list[api.LabelledRecord]:
        return [
            api.LabelledRecord(record_id=name, text=one.text, labels=one.labels, purpose=None, source="import")
            for name, one in self.labels.items()
        ]

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        serving, multi_label = self.serving, self.spec.multi_label
        if serving is None:
            raise NotServable(f"{self.spec.full_name} has no version yet: give it one with FakeServer.serve")
        answers = [choose(self.rule, self.otherwise, text, self.spec.label_names, multi_label) for text in texts]
        return [
            Prediction(one.labels, one.probabilities, False, serving.version, serving.revision, multi_label=multi_label)
            for one in answers
        ]

    def rollback(self, asked: api.RollbackIn) -> api.Serving:
        before = self.serving
        if before is None or before.previous is None:
            raise NotFound(f"{self.spec.full_name}: no version served before this one")
        if asked.expected_revision not in (None, before.revision):
            raise Conflict(f"current is at revision {before.revision}, not {asked.expected_revision}")
        self.asks = self.asks.model_copy(update={"hold": "somebody rolled back"})
        return self.serve(before.previous, "a test", asked.why or "")

    def ask(self, said: str, **asks: Any) -> api.Asked:
        self.asks = self.asks.model_copy(update=asks)
        return api.Asked(said=said, asks=self.asks)


@dataclass
class Tasks:
    held: dict[api.TaskName, FakeTask] = field(default_factory=dict)
    zero_shot: tuple[Rule | None, Choice | None] = (None, None)

    def get(self, name: api.TaskName) -> FakeTask:
        if name not in self.held:
            raise NotFound(f"there is no task {name}: create it with FakeServer.task or Client.apply")
        return self.held[name]

    def apply(self, name: api.TaskName, spec: TaskSpec) -> api.Applied:
        if name in self.held:
            return self.held[name].apply(spec)
        self.held[name] = FakeTask(spec)
        return api.Applied(workspace=name.workspace, task=name.task, created=True, spec_rev=1)

    def summaries(self) -> list[api.TaskSummary]:
        return [_summary(task.status()) for _, task in sorted(self.held.items())]

    def classify(self, asked: api.ZeroShotIn) -> api.ZeroShotOut:
        rule, otherwise = self.zero_shot
        names = [label.name for label in asked.label_specs()]
        answers = [choose(rule, otherwise, text, names, asked.multi_label) for text in asked.texts]
        predictions = [
            api.ZeroShotPrediction(labels=list(one.labels), probabilities=one.probabilities, truncated=False)
            for one in answers
        ]
        return api.ZeroShotOut(predictions=predictions, agent="teacher:fake")


def _summary(status: api.TaskStatus) -> api.TaskSummary:
    serving = status.serving
    return api.TaskSummary(
        workspace=status.workspace,
        task=status.task,
        phase=status.phase,
        why=status.why,
        version=serving.version if serving else None,
        revision=serving.revision if serving else None,
    )
