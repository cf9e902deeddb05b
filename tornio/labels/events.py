"""What the label log is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tornio.records import Purpose


class EventKind(StrEnum):
    ANSWER = "answer"
    DISCARD = "discard"
    WITHDRAW = "withdraw"
    """An annotator's answer (or a version's auto label) is gone; appended only after a complete listing."""
    IMPORT = "import"
    CORRECTION = "correction"
    """A person's answer to a record that had a label already."""
    AUTO = "auto"
    """A version's own label; never outranks a person."""
    TOMBSTONE = "tombstone"
    """The record is deleted, everywhere, for ever."""


@dataclass(frozen=True, slots=True)
class LabelEvent:
    """One line of the log.

    What an annotator says of a record is the event with the latest ``response_updated_at`` (the annotation
    tool's clock), ties by place in the log. Imports have no such clock: the later place counts.
    """

    event: EventKind
    record_id: str
    labels: tuple[str, ...]
    label_set_rev: int
    source: str
    """``argilla``, ``import:{file name}``, ``api:{key name}``, ``auto:{version}``."""
    annotator: str | None = None
    response_id: str | None = None
    response_updated_at: datetime | None = None
    dataset: str | None = None
    batch_id: str | None = None
    purpose: Purpose | None = None
    score: float | None = None
    model_version: str | None = None
    origin: str | None = None
    """What an event without a response comes from (an import's id and row, a request's id)."""
    recorded_at: datetime | None = None
    """When it was written, by our clock; orders nothing."""

    @property
    def key(self) -> tuple[str, datetime | None, EventKind] | None:
        """Two events with one key are one: replays are harmless, and an answer may flip back. None: always new."""
        source = self.response_id or self.origin
        return None if source is None else (source, self.response_updated_at, self.event)
