"""From what the annotation tool shows to the events that the label log lacks. Pure."""

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
    """Records of a data set with an answer or discard that stands: what a complete sweep should show."""
    records = by_record(event for event in known if event.dataset == dataset)
    return {
        record_id
        for record_id, events in records.items()
        if any(event.event is not EventKind.WITHDRAW for event in standing(events).values())
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
    """The events after which the log says of these records what the tool shows; empty where it does already.

    ``known``: the log. ``purposes``: of the records in batches. ``complete``: the records are shown with all their
    responses, as ``read`` and ``sweep`` do, and at a time after ``known`` was read. ``listed``: further records
    that the reading covers and that it would have shown (those asked of ``read``; ``answered_records`` for a
    ``sweep``): what is not shown of them is gone. ``answer``: what a submitted response is, CORRECTION in a review.

    An answer that is gone, or a draft again, becomes a WITHDRAW, and only when ``complete``. It carries id and
    time of the answer that it takes back, so it is the same event whoever finds it, it comes behind that answer
    (ties go by place), and any later answer outranks it.

    On a complete reading the tool has the last word. Where its time does not put an answer behind what the log
    knows (the tool's clock was set back, or an answer was taken for gone that was not), the event is dated one
    microsecond after the latest that the log has of that annotator.
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
        events += _of_record(blank, standing(before.get(record_id, ())), record.responses, complete)
    return sorted(events, key=lambda event: (event.response_updated_at, event.record_id, event.annotator))


def _of_record(
    blank: LabelEvent, says: Mapping[str, LabelEvent], responses: Sequence[Response], complete: bool
) -> Iterator[LabelEvent]:
    now: dict[str, Response] = {}
    for response in sorted(responses, key=lambda response: response.updated_at):
        now[response.annotator] = response
    for annotator in sorted({*says, *now}):
        current, known = now.get(annotator), says.get(annotator)
        if current is not None and current.status is not ResponseStatus.DRAFT:
            submitted = current.status is ResponseStatus.SUBMITTED
            kind = blank.event if submitted else EventKind.DISCARD
            if (when := _date(current, kind, known, complete)) is not None:
                yield replace(
                    blank,
                    event=kind,
                    labels=current.labels if submitted else (),
                    annotator=annotator,
                    response_id=current.response_id,
                    response_updated_at=when,
                )
        elif complete and known is not None and known.event is not EventKind.WITHDRAW:
            yield replace(known, event=EventKind.WITHDRAW, labels=(), recorded_at=None)


def _date(response: Response, kind: EventKind, known: LabelEvent | None, complete: bool) -> datetime | None:
    """When the response was given, or None where it is no news."""
    if known is None or known.response_updated_at is None:
        return response.updated_at
    same = known.event is kind and (kind is EventKind.DISCARD or sorted(known.labels) == sorted(response.labels))
    if same:
        return None
    if response.updated_at > known.response_updated_at:
        return response.updated_at
    return known.response_updated_at + _TICK if complete else None
