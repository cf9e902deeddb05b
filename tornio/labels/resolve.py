"""What a task takes as true of each record: the label log, resolved. Pure functions of the events in log order.

Who counts, the first that has spoken: a tombstone, corrections, annotators, imports (the later place), auto labels
(the later place).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tornio.labels.events import EventKind, LabelEvent
from tornio.records import Purpose

_BY_PEOPLE = (EventKind.ANSWER, EventKind.DISCARD, EventKind.WITHDRAW, EventKind.CORRECTION)
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Resolved:
    """What is true of one record."""

    labels: tuple[str, ...] | None = None
    """In the order of the task's labels; empty is an answer where several labels are allowed. None: no label."""
    kind: EventKind | None = None
    """Who decided: the kind of event that the labels (or the lack of them) come from. None: nobody yet."""
    disputed: bool = False
    """Annotators disagree and none of their answers has more votes than the others: no label."""
    annotators: int = 0
    """Distinct annotators whose answer or discard stands."""
    purpose: Purpose | None = None
    """HOLDOUT if annotators were ever shown the record as hold-out, whatever they say of it now; else the
    purpose of what decided."""
    label_set_rev: int = 0
    """The newest label set among the events that decided; 0 when nobody has."""

    @property
    def discarded(self) -> bool:
        """Finished, and without a label, because the annotators discarded it."""
        return self.kind is EventKind.DISCARD

    @property
    def deleted(self) -> bool:
        return self.kind is EventKind.TOMBSTONE


def by_record(events: Iterable[LabelEvent]) -> dict[str, list[LabelEvent]]:
    """The events of each record, in log order."""
    records: dict[str, list[LabelEvent]] = defaultdict(list)
    for event in events:
        records[event.record_id].append(event)
    return dict(records)


def standing(events: Iterable[LabelEvent]) -> dict[str, LabelEvent]:
    """What each annotator says of one record: the event with the latest response_updated_at, ties by place.

    An answer that was taken back in one data set leaves what the annotator said in another, such as in the batch
    before a review. An annotator who took all answers back has a WITHDRAW here.
    """
    latest: dict[tuple[str, str | None], LabelEvent] = {}
    for event in events:
        if event.event not in _BY_PEOPLE or _withdraws_auto(event):
            continue
        place = (event.annotator or event.source, event.dataset)
        if place not in latest or _time(event) >= _time(latest[place]):
            latest.pop(place, None)  # so that ties go by place
            latest[place] = event
    says: dict[str, LabelEvent] = {}
    for (who, _), event in latest.items():
        if who not in says or _rank(event) >= _rank(says[who]):
            says[who] = event
    return says


def annotators_done(events: Iterable[LabelEvent]) -> int:
    """How many annotators have answered or discarded a record, given its events."""
    return sum(event.event is not EventKind.WITHDRAW for event in standing(events).values())


def resolve(
    events: Iterable[LabelEvent], label_order: Sequence[str], multi_label: bool, min_submitted: int = 1
) -> dict[str, Resolved]:
    """What is true of every record that the log speaks of.

    Annotators decide once ``min_submitted`` of them have answered or discarded. With one label a text, the label
    with strictly the most votes wins, else the record is disputed; with several, each label that more than half
    of the answers name. A discard is no vote; where nobody gave a label the record is discarded.
    """
    order = {name: place for place, name in enumerate(label_order)}
    return {
        record_id: _resolve(of_record, order, multi_label, min_submitted)
        for record_id, of_record in by_record(events).items()
    }


def _resolve(events: list[LabelEvent], order: Mapping[str, int], multi_label: bool, min_submitted: int) -> Resolved:
    if any(event.event is EventKind.TOMBSTONE for event in events):
        return Resolved(kind=EventKind.TOMBSTONE)
    votes = [event for event in standing(events).values() if event.event is not EventKind.WITHDRAW]
    deciding = _deciding(events, votes, min_submitted)
    if not deciding:
        return Resolved(annotators=len(votes), purpose=_purpose(events, deciding))
    kind = deciding[0].event
    labels = None if kind is EventKind.DISCARD else _majority([event.labels for event in deciding], multi_label)
    return Resolved(
        labels=None if labels is None else tuple(sorted(labels, key=lambda name: (order.get(name, len(order)), name))),
        kind=kind,
        disputed=labels is None and kind is not EventKind.DISCARD,
        annotators=len(votes),
        purpose=_purpose(events, deciding),
        label_set_rev=max(event.label_set_rev for event in deciding),
    )


def _deciding(events: list[LabelEvent], votes: list[LabelEvent], min_submitted: int) -> list[LabelEvent]:
    """The events that decide on a record: all of one kind, empty when nobody has spoken."""
    if corrections := [vote for vote in votes if vote.event is EventKind.CORRECTION]:
        return corrections
    if votes and len(votes) >= min_submitted:
        return [vote for vote in votes if vote.event is EventKind.ANSWER] or votes
    if imports := [event for event in events if event.event is EventKind.IMPORT]:
        return imports[-1:]
    autos: dict[str | None, LabelEvent] = {}
    for event in events:
        if event.event is EventKind.AUTO:
            autos.pop(event.model_version, None)
            autos[event.model_version] = event
        elif _withdraws_auto(event):
            autos.pop(event.model_version, None)
    return list(autos.values())[-1:]


def _majority(votes: Sequence[tuple[str, ...]], multi_label: bool) -> tuple[str, ...] | None:
    if multi_label:
        given = Counter(label for labels in votes for label in set(labels))
        return tuple(label for label, count in given.items() if 2 * count > len(votes))
    ranked = Counter(votes).most_common(2)
    tied = len(ranked) == 2 and ranked[0][1] == ranked[1][1]
    return None if tied else ranked[0][0]


def _purpose(events: Iterable[LabelEvent], deciding: Sequence[LabelEvent]) -> Purpose | None:
    if any(event.event in _BY_PEOPLE and event.purpose is Purpose.HOLDOUT for event in events):
        return Purpose.HOLDOUT
    return deciding[-1].purpose if deciding else None


def _withdraws_auto(event: LabelEvent) -> bool:
    return event.event is EventKind.WITHDRAW and event.response_id is None and event.model_version is not None


def _rank(event: LabelEvent) -> tuple[bool, datetime]:
    return (event.event is not EventKind.WITHDRAW, _time(event))


def _time(event: LabelEvent) -> datetime:
    return event.response_updated_at or _NEVER
