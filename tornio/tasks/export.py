"""The labels of a task, for an export."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tornio.api import LabelledRecord
from tornio.labels.resolve import Resolved, resolve_under
from tornio.tasks.task import Task


@dataclass(frozen=True, slots=True)
class LabelsExport:
    """``records`` yields ``count`` records. It blocks, so it must run in a thread."""

    count: int
    records: Iterator[LabelledRecord]


def export_labels(task: Task) -> LabelsExport:
    """Return what the task takes as true of each labelled record, in the order of the pool."""
    spec, events = task.spec, task.label_view().events  # first the log, so that the pool knows what was deleted
    pool = task.pool.read()
    resolved = resolve_under(spec, events)
    labelled = {name: one for name, one in resolved.items() if one.labels is not None and name in pool}

    def records() -> Iterator[LabelledRecord]:
        for record_id, text in zip(pool.record_ids, pool.texts, strict=True):
            if record_id in labelled:
                yield _labelled(record_id, text, labelled[record_id])

    return LabelsExport(len(labelled), records())


def _labelled(record_id: str, text: str, resolved: Resolved) -> LabelledRecord:
    return LabelledRecord(
        record_id=record_id,
        text=text,
        labels=list(resolved.labels or ()),
        purpose=resolved.purpose,
        source=str(resolved.kind),
        given_by=resolved.source or "",
        annotators=resolved.annotators,
        version=resolved.version,
        probability=resolved.probability,
    )
