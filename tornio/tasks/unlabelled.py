"""Which records of a pool a training may use without a label. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from tornio.labels.events import LabelEvent
from tornio.labels.resolve import resolve
from tornio.pool.view import PoolView
from tornio.records import Purpose
from tornio.spec import TaskSpec
from tornio.tasks.data import select_training
from tornio.tasks.holdout import reserved_records


def unlabelled_rows(view: PoolView, events: Iterable[LabelEvent], spec: TaskSpec, key: str) -> list[int]:
    """Return the rows of the records that are neither held out, nor labelled for training, nor deleted, ascending.

    A record that annotators were shown as hold-out is never among them, even where an import has since taken its text
    out of the reserve. ``key``: the task's hold-out key.
    """
    events = tuple(events)
    resolved = resolve(events, spec.label_names, spec.multi_label, spec.annotation.min_submitted)
    closed = reserved_records(view, events, key, spec.loop.holdout_share)
    closed |= set(select_training(view, events, spec, key).record_ids)
    closed |= {
        record_id for record_id, outcome in resolved.items() if outcome.deleted or outcome.purpose is Purpose.HOLDOUT
    }
    return [row for row, record_id in enumerate(view.record_ids) if record_id not in closed]
