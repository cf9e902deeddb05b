"""The events of the label log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tornio.records import Purpose


class EventKind(StrEnum):
    ANSWER = "answer"
    DISCARD = "discard"
    WITHDRAW = "withdraw"
    """An annotator's answer (or a version's automatic label) was withdrawn; appended only after a complete listing."""
    IMPORT = "import"
    CORRECTION = "correction"
    """A person's answer for a record that already had a label."""
    AUTO = "auto"
    """A label given by a model; it never outranks a person's or an import's, and never judges."""
    TOMBSTONE = "tombstone"
    """The record is deleted permanently, everywhere."""


@dataclass(frozen=True, slots=True)
class LabelEvent:
    """One row of the log.

    An annotator's answer for a record is the event with the latest ``response_updated_at`` (the annotation tool's
    clock); ties are decided by place in the log. Imports have no such clock: the later place counts.
    """

    event: EventKind
    record_id: str
    labels: tuple[str, ...]
    label_set_rev: int
    source: str
    """``argilla``, ``import:{file name}``, ``api:{key name}``, ``auto:{name of a model}``."""
    annotator: str | None = None
    response_id: str | None = None
    response_updated_at: datetime | None = None
    dataset: str | None = None
    batch_id: str | None = None
    purpose: Purpose | None = None
    score: float | None = None
    model_version: str | None = None
    origin: str | None = None
    """Origin of an event without a response (id and row of an import, id of a request)."""
    recorded_at: datetime | None = None
    """When the event was written, by our own clock; it does not decide any order."""
    lapsed: bool = False
    """Its label was removed from the task, so that it gives none. Never stored: see ``labels.label_sets``."""

    @property
    def of_version(self) -> bool:
        """Whether the event is an automatic label of a version, or withdraws one. What models gave outside and a user
        imported names no version."""
        if self.response_id is not None or self.model_version is None:
            return False
        return self.event in (EventKind.AUTO, EventKind.WITHDRAW)

    @property
    def key(self) -> tuple[str, datetime | None, EventKind] | None:
        """Identity of the event: two events with one key are the same, so replays do no harm. None: always new."""
        source = self.response_id or self.origin
        return None if source is None else (source, self.response_updated_at, self.event)
