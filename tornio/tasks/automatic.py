"""Write the automatic labels of versions to the label log, and withdraw them. Everything here may be repeated."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from tornio.labels.automatic import automatic_label, standing_labels, withdrawal
from tornio.labels.events import LabelEvent
from tornio.schemas.automatic import AutoLabelOutput, AutoLabelRecord
from tornio.schemas.tables import AUTO_LABELS
from tornio.storage import documents
from tornio.tasks.data import reserve
from tornio.tasks.task import Task

PART = 50_000
"""Most labels of one part of the log."""


def write_automatic(task: Task, run: str, decided: AutoLabelOutput, now: datetime) -> AutoLabelRecord:
    """Write the labels that a run decided on, then the record of it.

    A record that is held out by now gets none. Labels that the same version gave before and that are below the present
    thresholds are withdrawn. Those that were withdrawn once are not written again.
    """
    table = AUTO_LABELS.decode(task.store.get(decided.labels).body, decided.labels)
    for start in range(0, len(table), PART):
        _append(task, _giving(task, decided, table.slice(start, PART).to_pylist()))

    def below() -> list[LabelEvent]:
        labels = [one for (version, _), one in _standing(task).items() if version == decided.version]
        return [withdrawal(one) for one in labels if not _reaches(one, decided)]

    _append(task, below)
    record = AutoLabelRecord(run=run, label_seq=task.labels.last_seq(), output=decided, written_at=now)
    return documents.create_or_get(task.store, task.keys.automatic(run), record)


def withdraw_automatic(task: Task, versions: Collection[str]) -> None:
    """Withdraw the automatic labels of these versions, and those of all versions on records that are held out."""

    def gone() -> list[LabelEvent]:
        standing, held = _standing(task), _held(task)
        return [withdrawal(one) for (version, name), one in standing.items() if version in versions or name in held]

    _append(task, gone)


def _giving(task: Task, decided: AutoLabelOutput, rows: Sequence[dict[str, Any]]) -> Callable[[], list[LabelEvent]]:
    def given() -> list[LabelEvent]:
        held = _held(task)
        return [
            automatic_label(decided.version, row["record_id"], row["label"], row["probability"], decided.label_set_rev)
            for row in rows
            if row["record_id"] not in held
        ]

    return given


def _reaches(label: LabelEvent, decided: AutoLabelOutput) -> bool:
    least = decided.thresholds.get(label.labels[0])
    return least is not None and label.score is not None and label.score >= least


def _append(task: Task, events: Callable[[], list[LabelEvent]]) -> None:
    """Append the events, computed again where another writer was first: a test set may have been imported meanwhile."""
    after = task.labels.last_seq()
    task.labels.append(events(), after=after, refresh=events)


def _standing(task: Task) -> dict[tuple[str, str], LabelEvent]:
    return dict(standing_labels(task.labels.read().events))


def _held(task: Task) -> frozenset[str]:
    return reserve(task, task.view(), task.labels.read().events)
