"""From the annotation tool to the log: whatever annotators do and whenever we look, a complete look sets it right."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.annotation.port import AnnotatedRecord, Response, ResponseStatus
from tornio.labels.diff import answered_records, answering, diff_answers
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.log import LabelLog
from tornio.labels.resolve import by_record, resolve, standing
from tornio.records import Purpose
from tornio.schemas.keys import TaskKeys
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit

T0 = datetime(2025, 1, 1, tzinfo=UTC)
PURPOSES = {"r1": Purpose.QUERY, "r2": Purpose.HOLDOUT}


def response(labels: str = "a", at: int = 0, status: str = "submitted", who: str = "ann") -> Response:
    return Response(f"id-{who}", who, ResponseStatus(status), tuple(labels), T0 + timedelta(seconds=at))


def record(*responses: Response, record_id: str = "r1") -> AnnotatedRecord:
    return AnnotatedRecord(record_id, "g1-b0001", responses)


def diff(
    known: list[LabelEvent], *records: AnnotatedRecord, complete: bool = True, listed: tuple[str, ...] = ()
) -> list[LabelEvent]:
    return diff_answers(
        known, records, purposes=PURPOSES, label_set_rev=1, dataset="tickets", complete=complete, listed=listed
    )


def test_a_submitted_response_is_an_answer() -> None:
    assert diff([], record(response())) == [
        LabelEvent(
            EventKind.ANSWER,
            "r1",
            ("a",),
            1,
            "argilla",
            annotator="ann",
            response_id="id-ann",
            response_updated_at=T0,
            dataset="tickets",
            batch_id="g1-b0001",
            purpose=Purpose.QUERY,
        )
    ]


def test_discards_are_events_and_drafts_are_none() -> None:
    (event,) = diff([], record(response(status="discarded"), response(who="bob", status="draft")))
    assert (event.event, event.labels, event.annotator) == (EventKind.DISCARD, (), "ann")


def test_in_a_review_an_answer_is_a_correction() -> None:
    def look(known: list[LabelEvent], *shown: AnnotatedRecord) -> list[LabelEvent]:
        kind = EventKind.CORRECTION
        return diff_answers(
            known, shown, purposes=PURPOSES, label_set_rev=1, dataset="review", complete=True, answer=kind
        )

    log = look([], record(response(), response("b", who="bob", status="discarded")))
    assert [(event.event, event.labels) for event in log] == [(EventKind.CORRECTION, ("a",)), (EventKind.DISCARD, ())]
    assert look(log, record(response(), response(who="bob", status="discarded"))) == []
    assert [event.event for event in look(log, record())] == [EventKind.WITHDRAW] * 2


def test_what_is_known_is_no_news() -> None:
    log = diff([], record(response()))
    assert diff(log, record(response())) == []
    assert diff(log, record(response(at=9))) == [], "submitted again, and the same"


def test_only_a_complete_reading_takes_an_answer_back() -> None:
    log = diff([], record(response()))
    for gone in (record(), record(response(status="draft", at=7))):
        assert diff(log, gone, complete=False) == []
        assert diff(log, gone) == [replace(log[0], event=EventKind.WITHDRAW, labels=())]
    assert diff(log, complete=True) == []
    assert diff(log, listed=("r1",))[0].event is EventKind.WITHDRAW


@pytest.mark.parametrize("shown", [record(), record(response(status="draft", at=9))])
def test_a_record_that_is_newer_than_the_answer_takes_nothing_back(shown: AnnotatedRecord) -> None:
    """It was deleted in the tool, alone or with its data set, and was sent again: it never had the answer."""
    log = diff([], record(response(at=3)))
    sent_again = replace(shown, created_at=T0 + timedelta(seconds=5))
    assert diff(log, sent_again) == []
    assert diff(log, replace(sent_again, created_at=T0 + timedelta(seconds=2)))[0].event is EventKind.WITHDRAW
    (changed,) = diff(log, replace(sent_again, responses=(response("b", at=7),)))
    assert (changed.event, changed.labels) == (EventKind.ANSWER, ("b",))


def test_who_answers_is_known() -> None:
    log = diff([], record(response(), response("b", who="bob")), record(response(who="carol"), record_id="r2"))
    log += diff(log, record(response("b", who="bob")))
    assert answering(log) == {"bob", "carol"}


def test_a_sweep_covers_all_that_was_answered() -> None:
    log = diff([], record(response()), record(response(), record_id="r2"))
    log += diff(log, record(record_id="r2"))
    assert answered_records(log, "tickets") == {"r1"}
    assert answered_records(log, "tickets-g2") == set()


def test_an_answer_wrongly_taken_for_gone_comes_back() -> None:
    log = diff([], record(response()))
    log += diff(log, record())
    back = diff(log, record(response()))
    assert back == [replace(log[0], response_updated_at=T0 + timedelta(microseconds=1))]
    assert diff(log + back, record(response())) == []


def test_an_old_look_changes_nothing() -> None:
    log = diff([], record(response("b", at=5)))
    assert diff(log, record(response("a", at=1)), complete=False) == []


def test_other_data_sets_are_left_alone() -> None:
    elsewhere = [replace(diff([], record(response()))[0], dataset="tickets-g2")]
    assert diff(elsewhere, record()) == []


@dataclass
class Tool:
    """Argilla as far as it matters here: one response an annotator and record, and a clock that may step back."""

    now: int = 0
    made: int = 0
    responses: dict[tuple[str, str], Response] = field(default_factory=dict)

    def act(self, who: str, record_id: str, status: str, label: str, tick: int) -> None:
        self.now += tick
        old = self.responses.get((record_id, who))
        if status == "delete":
            self.responses.pop((record_id, who), None)
            return
        self.made += old is None
        self.responses[record_id, who] = Response(
            old.response_id if old else f"id-{self.made}",
            who,
            ResponseStatus(status),
            (label,) if status == "submitted" else (),
            T0 + timedelta(seconds=self.now),
        )

    def show(self) -> tuple[AnnotatedRecord, ...]:
        return tuple(
            AnnotatedRecord(record_id, "b", tuple(r for (rid, _), r in self.responses.items() if rid == record_id))
            for record_id in PURPOSES
        )

    def truth(self) -> dict[tuple[str, str], tuple[str, ...] | None]:
        return {
            key: (r.labels if r.status is ResponseStatus.SUBMITTED else None)
            for key, r in self.responses.items()
            if r.status is not ResponseStatus.DRAFT
        }


ACTS = st.tuples(
    st.just("act"),
    st.sampled_from(["ann", "bob"]),
    st.sampled_from(list(PURPOSES)),
    st.sampled_from(["submitted", "submitted", "discarded", "draft", "delete"]),
    st.sampled_from("ab"),
    st.sampled_from([1, 1, 1, 0, -2]),
)
LOOKS = st.tuples(st.just("look"))
POLLS = st.tuples(st.just("poll"), st.integers(0, 3), st.booleans())


@given(st.lists(ACTS | LOOKS | POLLS, max_size=25))
def test_a_complete_poll_in_the_end_makes_the_log_say_what_the_tool_shows(steps: list[tuple[object, ...]]) -> None:
    """Polls may come late (an older look), twice, incomplete or not at all; writers share one log."""
    tool, looks = Tool(), [Tool().show()]
    log = LabelLog(MemoryStore(), TaskKeys("care", "tickets").label_log)
    for step in steps:
        if step[0] == "act":
            tool.act(*step[1:])  # type: ignore[arg-type]
        elif step[0] == "look":
            looks.append(tool.show())
        else:
            _, age, complete = step
            seen = looks[max(0, len(looks) - 1 - int(str(age)))]
            log.append(diff(list(log.read().events), *seen, complete=bool(complete)))
    log.append(diff(list(log.read().events), *tool.show()))

    events = log.read().events
    says = {
        (record_id, who): None if event.event is EventKind.DISCARD else event.labels
        for record_id, of_record in by_record(events).items()
        for who, event in standing(of_record).items()
        if event.event is not EventKind.WITHDRAW
    }
    assert says == tool.truth()
    assert diff(list(events), *tool.show()) == [], "another look is no news"
    assert log.append(events) is None, "replays add nothing"


@given(st.lists(ACTS, max_size=12), st.data())
def test_lost_polls_do_not_matter_while_the_clock_runs_forward(
    steps: list[tuple[object, ...]], data: st.DataObject
) -> None:
    """Polled after every act or only at the end: the same is true of every record."""
    tool, always, late = Tool(), list[LabelEvent](), list[LabelEvent]()
    for _, who, record_id, status, label, _tick in steps:
        tool.act(str(who), str(record_id), str(status), str(label), 1)
        always += diff(always, *tool.show())
        if data.draw(st.booleans()):
            late += diff(late, *tool.show(), complete=False)
    late += diff(late, *tool.show())
    truths = [resolve(events, "ab", multi_label=False) for events in (always, late)]
    labels = [{key: value.labels for key, value in truth.items() if value.labels} for truth in truths]
    assert labels[0] == labels[1]
