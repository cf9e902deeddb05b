"""Convert label events to a Parquet table and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields

import pyarrow as pa

from tornio.labels.events import EventKind, LabelEvent
from tornio.records import Purpose
from tornio.schemas.tables import LABELS

_NAMES = [field.name for field in fields(LabelEvent) if field.name in LABELS.columns.names]


def to_table(events: Sequence[LabelEvent]) -> pa.Table:
    """Return a table with one row per event, in their order."""
    columns = {name: [getattr(event, name) for event in events] for name in _NAMES}
    return pa.Table.from_pydict(columns, schema=LABELS.columns)


def from_table(table: pa.Table) -> Iterator[LabelEvent]:
    """Yield the events of a table, in their order; columns of a later release are ignored."""
    for row in table.select(_NAMES).to_pylist():
        row["event"] = EventKind(row["event"])
        row["labels"] = tuple(row["labels"])
        row["purpose"] = Purpose(row["purpose"]) if row["purpose"] else None
        yield LabelEvent(**row)
