"""What trains and what judges: never the same text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tornio.errors import NotFound
from tornio.labels.events import EventKind, LabelEvent
from tornio.pool import Pool, PoolView
from tornio.records import Purpose, Record, text_digest
from tornio.schemas.keys import TaskKeys
from tornio.spec import AutoLabelSpec, TaskSpec
from tornio.storage.memory import MemoryStore
from tornio.tasks import Tasks, holdout_set, reserve, training_labels, training_set
from tornio.tasks.data import select_holdout, select_training, unlabelled_rows
from tornio.tasks.holdout import holdout_key, reserved_records

pytestmark = pytest.mark.unit

SPEC = TaskSpec.model_validate({"workspace": "care", "name": "tickets", "labels": ["a", "b"]})
KEY = holdout_key("care/tickets", 0)
T0 = datetime(2025, 1, 1, tzinfo=UTC)


def view_of(records: Sequence[Record]) -> PoolView:
    pool = Pool(MemoryStore(), TaskKeys("care", "tickets"))
    pool.append(records)
    return pool.read()


VIEW = view_of([Record(f"r{number:03}", f"Text number {number}.") for number in range(300)])
BY_HASH = sorted(reserved_records(VIEW, (), KEY, 0.1))
HELD, OPEN = BY_HASH[0], next(record_id for record_id in VIEW.record_ids if record_id not in BY_HASH)


def event(kind: EventKind, record_id: str, label: str = "a", purpose: Purpose | None = None, **more: Any) -> LabelEvent:
    labels = (label,) if label else ()
    return LabelEvent(kind, record_id, labels, 1, "s", purpose=purpose, **more)


def answer(record_id: str, purpose: Purpose, label: str = "a", kind: EventKind = EventKind.ANSWER) -> LabelEvent:
    return event(
        kind, record_id, label, purpose, annotator="ann", response_id=f"id-{record_id}", response_updated_at=T0
    )


def imported(record_id: str, purpose: Purpose = Purpose.QUERY, label: str = "a") -> LabelEvent:
    return event(EventKind.IMPORT, record_id, label, purpose)


def trains(*events: LabelEvent, view: PoolView = VIEW) -> tuple[str, ...]:
    return select_training(view, events, SPEC, KEY).record_ids


def judges(*events: LabelEvent, view: PoolView = VIEW) -> tuple[str, ...]:
    return select_holdout(view, events, SPEC, KEY).record_ids


def test_the_hash_reserves_about_the_share_and_always_the_same() -> None:
    assert 15 <= len(BY_HASH) <= 45
    assert sorted(reserved_records(VIEW, (), KEY, 0.1)) == BY_HASH
    assert set(BY_HASH) < set(reserved_records(VIEW, (), KEY, 0.3)), "a larger share keeps what was reserved"
    assert sorted(reserved_records(VIEW, (), holdout_key("care/tickets", 1), 0.1)) != BY_HASH


def test_answers_train_or_judge_by_where_their_text_belongs() -> None:
    events = [answer(OPEN, Purpose.QUERY), answer(HELD, Purpose.HOLDOUT, "b")]
    assert trains(*events) == (OPEN,)
    judged = select_holdout(VIEW, events, SPEC, KEY)
    assert (judged.record_ids, judged.labels, judged.reserved) == ((HELD,), (("b",),), len(BY_HASH))
    assert judged.texts == (VIEW.texts[VIEW.rows_of([HELD])[0]],)


def test_what_is_imported_for_training_trains_and_leaves_the_reserve() -> None:
    assert trains(imported(HELD)) == (HELD,)
    assert judges(imported(HELD)) == ()
    assert HELD not in reserved_records(VIEW, [imported(HELD)], KEY, 0.1)


def test_what_is_imported_as_hold_out_judges() -> None:
    events = [imported(OPEN, Purpose.HOLDOUT)]
    assert judges(*events) == (OPEN,)
    assert trains(*events) == ()


def test_imported_hold_out_labels_are_told_apart_from_those_of_annotators() -> None:
    events = [imported(OPEN, Purpose.HOLDOUT), answer(HELD, Purpose.HOLDOUT)]
    judged = select_holdout(VIEW, events, SPEC, KEY)
    assert set(judged.record_ids) == {OPEN, HELD}
    assert judged.imported == {OPEN}
    events.append(answer(OPEN, Purpose.HOLDOUT))  # a person looked at it since
    assert not select_holdout(VIEW, events, SPEC, KEY).imported


def test_what_has_trained_never_judges() -> None:
    for first in (imported(OPEN), answer(OPEN, Purpose.QUERY)):
        events = [first, imported(OPEN, Purpose.HOLDOUT)]
        assert judges(*events) == ()
        assert trains(*events) == (OPEN,)


def test_what_annotators_answered_as_hold_out_never_trains() -> None:
    events = [answer(HELD, Purpose.HOLDOUT), imported(HELD)]
    assert trains(*events) == judges(*events) == ()


def test_duplicates_go_with_their_text() -> None:
    text = VIEW.texts[VIEW.rows_of([HELD])[0]]
    view = view_of([Record(HELD, text), Record("twin", f"  {text.upper()} "), Record("other", "Something else 7.")])
    assert reserved_records(view, (), KEY, 0.1) >= {HELD, "twin"}
    assert trains(answer("twin", Purpose.QUERY), view=view) == ("twin",), "queried: it would be too late"
    assert trains(event(EventKind.AUTO, "twin"), view=view) == ()
    assert reserved_records(view, [imported("twin")], KEY, 0.1).isdisjoint({HELD, "twin"})
    assert reserved_records(view, [imported("other", Purpose.HOLDOUT)], KEY, 0.1) == {HELD, "twin", "other"}


def test_discards_stay_held_out_and_are_counted() -> None:
    gone = answer(HELD, Purpose.HOLDOUT, "", EventKind.DISCARD)
    judged = select_holdout(VIEW, [gone], SPEC, KEY)
    assert (judged.record_ids, judged.discarded, judged.reserved) == ((), 1, len(BY_HASH))
    assert trains(gone) == ()


def test_disputes_are_counted() -> None:
    other = replace(answer(HELD, Purpose.HOLDOUT, "b"), annotator="bob", response_id="x")
    assert select_holdout(VIEW, [answer(HELD, Purpose.HOLDOUT), other], SPEC, KEY).disputed == 1


def test_the_deleted_neither_train_nor_judge() -> None:
    gone = [event(EventKind.TOMBSTONE, record_id, "") for record_id in (HELD, OPEN)]
    events = [answer(OPEN, Purpose.QUERY), answer(HELD, Purpose.HOLDOUT), *gone]
    assert trains(*events) == judges(*events) == ()
    assert select_holdout(VIEW, events, SPEC, KEY).reserved == len(BY_HASH) - 1


def test_auto_labels_train_and_never_judge() -> None:
    events = [event(EventKind.AUTO, record_id) for record_id in (OPEN, HELD)]
    assert trains(*events) == (OPEN,)
    assert judges(*events) == ()


def test_those_of_a_version_train_only_if_the_spec_says_so() -> None:
    events = [event(EventKind.AUTO, record_id, model_version="v1") for record_id in (OPEN, HELD)]
    assert trains(*events) == ()
    trained = SPEC.model_copy(update={"auto_label": AutoLabelSpec(threshold=0.9, train=True)})
    assert select_training(VIEW, events, trained, KEY).record_ids == (OPEN,)
    assert len(select_holdout(VIEW, events, trained, KEY)) == 0
    open_rows = [VIEW.record_ids[row] for row in unlabelled_rows(VIEW, events, SPEC, KEY)]
    assert OPEN in open_rows


def test_labels_of_another_label_set_and_unknown_records_are_left_out() -> None:
    assert trains(imported(OPEN, label="old"), imported("nobody")) == ()
    assert judges(imported(OPEN, Purpose.HOLDOUT, "old"), imported("nobody", Purpose.HOLDOUT)) == ()


def test_a_task_is_read_as_it_stood() -> None:
    store = MemoryStore()
    Tasks(store).apply(SPEC, "me")
    task = Tasks(store).open("care", "tickets")
    task.import_labels([(Record("r2", "two"), ["b"])], "train", "s")
    task.import_labels([(Record("r1", "one"), ["a"]), (Record("h1", "judge"), ["a"])], "train", "s")
    task.import_labels([(Record("h2", "jury"), ["b"])], "holdout", "s")
    first = training_set(task, 1, 3)
    assert (first.record_ids, first.texts, first.labels) == (("r2",), ("two",), (("b",),))
    assert training_set(task, 2, 3).record_ids == ("h1", "r1", "r2"), "sorted"
    assert training_set(task, 2, 1).record_ids == ("r2",)
    assert holdout_set(task, 3, 3).record_ids == ("h2",)
    view, log = task.pool.read(), task.labels.read()
    assert training_labels(task, view, log) == {"a": 2, "b": 1}
    assert "h2" in reserve(task, view, log)
    with pytest.raises(NotFound):
        training_set(task, 9, 3)


RECORDS = [Record(f"{name}{twin}", f"{name} text" + " " * twin) for name in "pqrstuvw" for twin in (0, 1)]
SMALL = view_of(RECORDS)
IDS = st.sampled_from([record.record_id for record in RECORDS])
PURPOSES = st.sampled_from(Purpose)


@settings(max_examples=100)
@given(
    st.lists(
        st.builds(imported, IDS, PURPOSES, st.sampled_from("ab"))
        | st.builds(answer, IDS, PURPOSES, st.sampled_from("ab"))
        | st.builds(event, st.sampled_from([EventKind.AUTO, EventKind.TOMBSTONE]), IDS),
        max_size=12,
    )
)
def test_no_text_ever_trains_and_judges(events: list[LabelEvent]) -> None:
    """Over the whole history of any log: what judged at some time may train later only if a user imports it for
    training, or a strategy asked it; what has trained never judges after."""
    events = [
        replace(one, response_updated_at=T0 + timedelta(seconds=n)) if one.response_id else one
        for n, one in enumerate(events)
    ]
    has_trained: set[str] = set()
    for upto in range(len(events) + 1):
        training = select_training(SMALL, events[:upto], SPEC, KEY)
        judging = select_holdout(SMALL, events[:upto], SPEC, KEY)
        trained = {text_digest(text) for text in training.texts}
        judged = {text_digest(text) for text in judging.texts}
        assert not trained & judged
        queried = {text_digest(SMALL.record(e.record_id).text) for e in events[:upto] if e.purpose is Purpose.QUERY}
        assert not judged & queried
        has_trained |= trained & queried
        assert not judged & has_trained
        assert list(training.record_ids) == sorted(training.record_ids)
