"""Compare the annotation tool with the label log, and derive the events that the log lacks. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tornio.annotation.port import AnnotatedRecord, Response, ResponseStatus
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.resolve import by_record, standing
from tornio.records import Purpose

SOURCE = "argilla"
_TICK = timedelta(microseconds=1)


def answered_records(known: Iterable[LabelEvent], dataset: str) -> set[str]:
    """Return the records of a data set with a valid answer or discard: those that a complete sweep should show."""
    records = by_record(event for event in known if event.dataset == dataset)
    return {
        record_id
        for record_id, events in records.items()
        if any(event.event is not EventKind.WITHDRAW for event in standing(events).values())
    }


def answering(known: Iterable[LabelEvent]) -> set[str]:
    """Return the annotators whose answers or discards are valid."""
    return {
        annotator
        for events in by_record(event for event in known if event.source == SOURCE).values()
        for annotator, event in standing(events).items()
        if event.event is not EventKind.WITHDRAW
    }


def diff_answers(
    known: Iterable[LabelEvent],
    records: Sequence[AnnotatedRecord],
    *,
    purposes: Mapping[str, Purpose],
    label_set_rev: int,
    dataset: str,
    complete: bool,
    listed: Collection[str] = (),
    answer: EventKind = EventKind.ANSWER,
) -> list[LabelEvent]:
    """Return the events that bring the log up to date with the tool for these records; empty if it is up to date.

    ``known``: the events of the log. ``purposes``: the purposes of the records in batches. ``complete``: the records
    have all their responses, as after ``read`` and ``sweep``, and were read after ``known``. ``listed``: further
    records that the reading covers (those requested from ``read``; ``answered_records`` for a ``sweep``); if one of
    them is not shown, its answers no longer exist. ``answer``: the event kind of a submitted response, which is
    CORRECTION in a review.

    An answer that was deleted or is a draft again becomes a WITHDRAW, but only if ``complete``, and not if the record
    is newer than the answer: then the record was deleted in the tool and sent again. The WITHDRAW carries the id and
    time of the answer that it withdraws. So it is the same event whoever finds it; it comes after that answer (ties
    are decided by place in the log); and any later answer outranks it.

    After a complete reading the tool is right. If the time of an answer is not later than the annotator's latest event
    in the log (because the tool's clock was set back, or an answer was wrongly taken for deleted), the new event is
    dated one microsecond after that event.
    """
    shown = {record.record_id: record for record in records}
    covered = {*shown, *(listed if complete else ())}
    before = by_record(event for event in known if event.dataset == dataset and event.record_id in covered)
    events: list[LabelEvent] = []
    for record_id in sorted(covered):
        record = shown.get(record_id) or AnnotatedRecord(record_id, None, ())
        blank = LabelEvent(
            answer,
            record_id,
            (),
            label_set_rev,
            SOURCE,
            dataset=dataset,
            batch_id=record.batch_id,
            purpose=purposes.get(record_id),
        )
        events += _of_record(blank, standing(before.get(record_id, ())), record, complete)
    return sorted(events, key=lambda event: (event.response_updated_at, event.record_id, event.annotator))


def _of_record(
    blank: LabelEvent, logged: Mapping[str, LabelEvent], record: AnnotatedRecord, complete: bool
) -> Iterator[LabelEvent]:
    now: dict[str, Response] = {}
    for response in sorted(record.responses, key=lambda response: response.updated_at):
        now[response.annotator] = response
    for annotator in sorted({*logged, *now}):
        current, latest = now.get(annotator), logged.get(annotator)
        if current is not None and current.status is not ResponseStatus.DRAFT:
            submitted = current.status is ResponseStatus.SUBMITTED
            kind = blank.event if submitted else EventKind.DISCARD
            if (when := _date(current, kind, latest, complete)) is not None:
                yield replace(
                    blank,
                    event=kind,
                    labels=current.labels if submitted else (),
                    annotator=annotator,
                    response_id=current.response_id,
                    response_updated_at=when,
                )
        elif complete and latest is not None and _took_back(latest, record):
            yield replace(latest, event=EventKind.WITHDRAW, labels=(), recorded_at=None)


def _took_back(latest: LabelEvent, record: AnnotatedRecord) -> bool:
    """Whether the annotator took this answer back, given that the record does not show it."""
    if latest.event is EventKind.WITHDRAW:
        return False
    when = latest.response_updated_at
    return record.created_at is None or when is None or record.created_at <= when


def _date(response: Response, kind: EventKind, latest: LabelEvent | None, complete: bool) -> datetime | None:
    """Return the date of the event for this response, or None if the log has it already."""
    if latest is None or latest.response_updated_at is None:
        return response.updated_at
    same = latest.event is kind and (kind is EventKind.DISCARD or sorted(latest.labels) == sorted(response.labels))
    if same:
        return None
    if response.updated_at > latest.response_updated_at:
        return response.updated_at
    return latest.response_updated_at + _TICK if complete else None
