"""Resolve the label log: the labels that a task takes as true for each record. Pure functions of events in log order.

The first of these that exists decides: a tombstone, corrections, annotators, imports (the latest), automatic labels of
models outside (the latest), those of versions (the latest). Those of versions do not count beside anybody's answer,
even where more annotators have to answer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tornio.labels.events import EventKind, LabelEvent
from tornio.records import Purpose
from tornio.spec import TaskSpec

_BY_PEOPLE = (EventKind.ANSWER, EventKind.DISCARD, EventKind.WITHDRAW, EventKind.CORRECTION)
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The resolved labels of one record."""

    labels: tuple[str, ...] | None = None
    """In the order of the task's labels. Empty is a valid answer if several labels are allowed. None: no label."""
    kind: EventKind | None = None
    """The kind of event that decided on the labels or on the lack of them. None: nothing has decided yet."""
    disputed: bool = False
    """Annotators disagree and no answer has more votes than the others, so that the record has no label."""
    annotators: int = 0
    """Number of distinct annotators with a valid answer or discard."""
    purpose: Purpose | None = None
    """HOLDOUT if annotators were ever shown the record as hold-out, whatever their present answer; otherwise the
    purpose of the deciding events."""
    source: str | None = None
    """Where the labels come from: ``source`` of the last deciding event."""
    label_set_rev: int = 0
    """The newest label set among the deciding events; 0 if nothing has decided."""
    version: str | None = None
    """The version that gave the label, if one did."""
    probability: float | None = None
    """How probable that version found the label."""

    @property
    def discarded(self) -> bool:
        """Annotators finished the record by discarding it, so that it has no label."""
        return self.kind is EventKind.DISCARD

    @property
    def deleted(self) -> bool:
        return self.kind is EventKind.TOMBSTONE


def by_record(events: Iterable[LabelEvent]) -> dict[str, list[LabelEvent]]:
    """Group the events by record, in log order."""
    records: dict[str, list[LabelEvent]] = defaultdict(list)
    for event in events:
        records[event.record_id].append(event)
    return dict(records)


def standing(events: Iterable[LabelEvent]) -> dict[str, LabelEvent]:
    """Return each annotator's valid event for one record: the latest response_updated_at, ties by place in the log.

    If an answer was withdrawn in one data set, the annotator's answer in another one is valid, such as the answer in
    the batch before a review. An annotator who has withdrawn all answers has a WITHDRAW here.
    """
    latest: dict[tuple[str, str | None], LabelEvent] = {}
    for event in events:
        if event.event not in _BY_PEOPLE or event.of_version:
            continue
        if event.lapsed:
            event = replace(event, event=EventKind.WITHDRAW)
        place = (event.annotator or event.source, event.dataset)
        if place not in latest or _time(event) >= _time(latest[place]):
            latest.pop(place, None)  # so that ties go by place
            latest[place] = event
    valid: dict[str, LabelEvent] = {}
    for (annotator, _), event in latest.items():
        if annotator not in valid or _rank(event) >= _rank(valid[annotator]):
            valid[annotator] = event
    return valid


def annotators_of(events: Iterable[LabelEvent]) -> set[str]:
    """Return the annotators who have answered or discarded a record, given its events."""
    return {who for who, event in standing(events).items() if event.event is not EventKind.WITHDRAW}


def annotators_done(events: Iterable[LabelEvent]) -> int:
    """Return how many annotators have answered or discarded a record, given its events."""
    return len(annotators_of(events))


def deleted_records(events: Iterable[LabelEvent]) -> frozenset[str]:
    """Return the records that have a tombstone among these events."""
    return frozenset(event.record_id for event in events if event.event is EventKind.TOMBSTONE)


def resolve(
    events: Iterable[LabelEvent], label_order: Sequence[str], multi_label: bool, min_submitted: int = 1
) -> dict[str, Resolved]:
    """Resolve every record in the log.

    Annotators decide once ``min_submitted`` of them have answered or discarded. In single-label tasks the label with
    strictly the most votes wins; otherwise the record is disputed. In multi-label tasks each label named by more than
    half of the answers wins. A discard is not a vote; a record that only has discards is discarded.
    """
    order = {name: place for place, name in enumerate(label_order)}
    return {
        record_id: _resolve(of_record, order, multi_label, min_submitted)
        for record_id, of_record in by_record(events).items()
    }


def resolve_under(spec: TaskSpec, events: Iterable[LabelEvent]) -> dict[str, Resolved]:
    """Resolve every record in the log by the rules of this spec. The events have the labels of the spec."""
    return resolve(events, spec.label_names, spec.multi_label, spec.annotation.min_submitted)


def _resolve(events: list[LabelEvent], order: Mapping[str, int], multi_label: bool, min_submitted: int) -> Resolved:
    if deleted_records(events):
        return Resolved(kind=EventKind.TOMBSTONE)
    votes = [event for event in standing(events).values() if event.event is not EventKind.WITHDRAW]
    deciding = _deciding(events, votes, min_submitted)
    if not deciding:
        return Resolved(annotators=len(votes), purpose=_purpose(events, deciding))
    kind = deciding[0].event
    labels = None if kind is EventKind.DISCARD else majority([event.labels for event in deciding], multi_label)
    return Resolved(
        labels=None if labels is None else tuple(sorted(labels, key=lambda name: (order.get(name, len(order)), name))),
        kind=kind,
        disputed=labels is None and kind is not EventKind.DISCARD,
        annotators=len(votes),
        purpose=_purpose(events, deciding),
        source=deciding[-1].source,
        label_set_rev=max(event.label_set_rev for event in deciding),
        version=deciding[-1].model_version if deciding[-1].of_version else None,
        probability=deciding[-1].score if deciding[-1].of_version else None,
    )


def _deciding(events: list[LabelEvent], votes: list[LabelEvent], min_submitted: int) -> list[LabelEvent]:
    """Return the events that decide on a record. All are of one kind; the list is empty if nothing has decided."""
    if corrections := [vote for vote in votes if vote.event is EventKind.CORRECTION]:
        return corrections
    if votes and len(votes) >= min_submitted:
        return [vote for vote in votes if vote.event is EventKind.ANSWER] or votes
    if imports := [event for event in events if event.event is EventKind.IMPORT]:
        return [] if imports[-1].lapsed else imports[-1:]
    autos: dict[str | None, LabelEvent] = {}
    for event in events:
        if event.event is EventKind.AUTO:
            autos.pop(event.model_version, None)
            autos[event.model_version] = event
        elif event.of_version:
            autos.pop(event.model_version, None)
    if votes or None in autos:  # what people or models outside say silences versions, also before enough have answered
        autos = {None: autos[None]} if None in autos else {}
    return [event for event in list(autos.values())[-1:] if not event.lapsed]


def majority(votes: Sequence[tuple[str, ...]], multi_label: bool) -> tuple[str, ...] | None:
    """Return the labels that win among the votes; None where no single label set has the most. See ``resolve``."""
    if multi_label:
        counts = Counter(label for labels in votes for label in set(labels))
        return tuple(label for label, count in counts.items() if 2 * count > len(votes))
    ranked = Counter(votes).most_common(2)
    tied = len(ranked) == 2 and ranked[0][1] == ranked[1][1]
    return None if tied else ranked[0][0]


def _purpose(events: Iterable[LabelEvent], deciding: Sequence[LabelEvent]) -> Purpose | None:
    if any(event.event in _BY_PEOPLE and event.purpose is Purpose.HOLDOUT and not event.of_version for event in events):
        return Purpose.HOLDOUT
    return deciding[-1].purpose if deciding else None


def _rank(event: LabelEvent) -> tuple[bool, datetime]:
    return (event.event is not EventKind.WITHDRAW, _time(event))


def _time(event: LabelEvent) -> datetime:
    return event.response_updated_at or _NEVER
