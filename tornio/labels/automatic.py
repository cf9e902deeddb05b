"""The automatic labels of versions, as events of the label log. Pure functions.

A version labels a record once: the origin of the event is version and record. So writing a label again changes nothing,
and a label that was withdrawn never comes back. What a user imports from models outside is not of this kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.resolve import deleted_records
from tornio.records import Purpose

Labels = Mapping[tuple[str, str], LabelEvent]
"""Automatic labels by version and record."""


@dataclass(frozen=True, slots=True)
class Given:
    """How many automatic labels of a version stand, and how many were withdrawn."""

    standing: int = 0
    withdrawn: int = 0


def automatic_label(version: str, record_id: str, label: str, probability: float, label_set_rev: int) -> LabelEvent:
    """Return the event of a label that this version gives."""
    return LabelEvent(
        EventKind.AUTO,
        record_id,
        (label,),
        label_set_rev,
        f"auto:{version}",
        purpose=Purpose.QUERY,
        score=probability,
        model_version=version,
        origin=f"auto:{version}:{record_id}",
    )


def withdrawal(label: LabelEvent) -> LabelEvent:
    """Return the event that withdraws a version's label. It has no annotator and no response, unlike a person's."""
    return replace(label, event=EventKind.WITHDRAW, labels=(), purpose=None, recorded_at=None)


def standing_labels(events: Iterable[LabelEvent]) -> Labels:
    """Return the labels of versions that were not withdrawn, but for those of deleted records."""
    labels: dict[tuple[str, str], LabelEvent] = {}
    events = tuple(events)
    gone = deleted_records(events)
    for event in events:
        if event.record_id in gone:
            continue
        if event.of_version and event.model_version is not None:
            place = event.model_version, event.record_id
            if event.event is EventKind.AUTO:
                labels[place] = event
            else:
                labels.pop(place, None)
    return labels


def given_by_version(events: Iterable[LabelEvent]) -> Mapping[str, Given]:
    """Count the labels of each version that ever gave one."""
    events = tuple(events)
    standing, gone = standing_labels(events), deleted_records(events)
    counts: dict[str, list[int]] = {}
    given = {(str(event.model_version), event.record_id) for event in events if event.of_version}
    for version, record_id in given:
        if record_id not in gone:  # nothing more is ever written about it
            counts.setdefault(version, [0, 0])[(version, record_id) not in standing] += 1
    return {version: Given(*found) for version, found in sorted(counts.items())}


def without_versions(events: Iterable[LabelEvent]) -> tuple[LabelEvent, ...]:
    """Return the events without the automatic labels of versions and their withdrawals."""
    return tuple(event for event in events if not event.of_version)
