"""Which records one more annotator is asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tasks.sample import task_of
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.resolve import by_record
from tornio.records import Purpose
from tornio.schemas.task import Batch, BatchItem
from tornio.spec import TaskSpec
from tornio.tasks.again import MOST_AGAIN, ask_again, waiting_again

pytestmark = pytest.mark.unit

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def spec_of(**annotation: Any) -> TaskSpec:
    given = {"min_submitted": 2, **annotation}
    return TaskSpec.model_validate({"workspace": "w", "name": "t", "labels": ["a", "b", "c"], "annotation": given})


SPEC = spec_of()
VIEW = task_of(SPEC).pool.read()
ONE, TWO, THREE = "r01", "r02", "r03"


def said(record_id: str, annotator: str, label: str = "a", purpose: Purpose = Purpose.QUERY) -> LabelEvent:
    kind = EventKind.ANSWER if label else EventKind.DISCARD
    return LabelEvent(
        kind, record_id, (label,) if label else (), 1, "argilla",
        annotator=annotator, response_updated_at=WHEN, purpose=purpose,
    )  # fmt: skip


def batch(number: int, *items: BatchItem, generation: int = 1) -> Batch:
    name = f"g{generation}-b{number:04d}"
    return Batch(
        batch=name,
        number=number,
        generation=generation,
        dataset="t",
        items=items,
        strategy="random",
        run="q",
        created_at=WHEN,
    )


def item(record_id: str, purpose: Purpose = Purpose.QUERY, again: int = 0) -> BatchItem:
    return BatchItem(record_id=record_id, purpose=purpose, again=again)


def asked(events: Sequence[LabelEvent], *batches: Batch, spec: TaskSpec = SPEC) -> list[tuple[str, int]]:
    return [(one.record_id, one.again) for one in ask_again(VIEW, events, batches, spec, "key", 1)]


OTHERS = said(THREE, "cas"), said(THREE, "dan")
DISPUTED = said(ONE, "ann", "a"), said(ONE, "bob", "b")


def test_a_disputed_record_comes_again_as_what_it_was() -> None:
    held = [said(TWO, "ann", "a", Purpose.HOLDOUT), said(TWO, "bob", "b", Purpose.HOLDOUT)]
    first = batch(1, item(ONE), item(TWO, Purpose.HOLDOUT), item(THREE))
    found = ask_again(VIEW, [*DISPUTED, *held, *OTHERS], [first], SPEC, "key", 1)
    assert found == [item(ONE, again=1), item(TWO, Purpose.HOLDOUT, again=1)]


def test_the_oldest_batch_comes_first() -> None:
    events = [*DISPUTED, said(TWO, "ann", "a"), said(TWO, "bob", "c"), *OTHERS]
    assert asked(events, batch(2, item(ONE)), batch(1, item(TWO), item(THREE))) == [(TWO, 1), (ONE, 1)]


def test_each_asking_waits_for_the_answer_of_the_one_before_and_there_are_few() -> None:
    batches = [batch(1, item(ONE), item(THREE))]
    events = [*DISPUTED, *OTHERS, said(THREE, "eve")]
    for again, (who, label) in enumerate([("cas", "c"), ("dan", "")], 1):
        assert asked(events, *batches) == [(ONE, again)]
        batches.append(batch(again + 1, item(ONE, again=again)))
        assert asked(events, *batches) == [], "it is being asked"
        events.append(said(ONE, who, label))
    assert again == MOST_AGAIN
    assert asked(events, *batches) == [], "it is still disputed, but was asked often enough"


@pytest.mark.parametrize(
    "events",
    [
        [*DISPUTED],
        [said(ONE, "ann"), said(ONE, "bob"), *OTHERS],
        [said(ONE, "ann"), *OTHERS],
        [said(ONE, "ann", ""), said(ONE, "bob", ""), *OTHERS],
        [*DISPUTED, LabelEvent(EventKind.TOMBSTONE, ONE, (), 1, "deletion"), *OTHERS],
    ],
    ids=["nobody else", "they agree", "too few", "discarded", "deleted"],
)
def test_not_again(events: list[LabelEvent]) -> None:
    assert asked(events, batch(1, item(ONE), item(THREE))) == []


def test_overlap_draws_a_share_of_what_is_answered_once_each() -> None:
    spec = spec_of(min_submitted=1, overlap=0.3)
    first = batch(1, *(item(name) for name in VIEW.record_ids))
    events = [said(name, "ann") for name in VIEW.record_ids]
    assert asked(events, first, spec=spec) == [], "nobody else has answered anything"
    events.append(said(THREE, "bob"))
    drawn = asked(events, first, spec=spec)
    assert 9 <= len(drawn) <= 27
    assert THREE not in dict(drawn)
    assert asked(events, first, spec=spec_of(min_submitted=1)) == []
    every = asked(events, first, spec=spec_of(min_submitted=1, overlap=1))
    assert len(every) == 59
    assert set(drawn) <= set(every), "a larger share adds to a smaller one"
    name = drawn[0][0]
    events.append(said(name, "bob"))
    second = batch(2, item(name, again=1))
    assert name not in dict(asked(events, first, second, spec=spec)), "one more answer was wanted, and is there"
    events[-1] = said(name, "bob", "b")
    events.append(said(THREE, "cas"))
    assert asked(events, first, second, spec=spec)[0] == (name, 2), "now it is disputed"


def test_what_waits_is_counted_by_data_set() -> None:
    batches = [
        batch(1, item(ONE), item(TWO), item(THREE)),
        batch(2, item(ONE, again=1), item(TWO, again=1)),
        batch(3, item(ONE, again=2)),
    ]
    events = [*DISPUTED, said(ONE, "cas", "c"), said(TWO, "ann", "a"), said(TWO, "bob", "b")]
    assert waiting_again(batches, by_record(events), 2, 1) == {"t again": 1, "t again 2": 1}
    gone = LabelEvent(EventKind.TOMBSTONE, TWO, (), 1, "deletion")
    assert waiting_again(batches, by_record([*events, gone]), 2, 1) == {"t again 2": 1}
    assert waiting_again(batches[:1], by_record(events), 2, 1) == {}


def test_in_a_new_generation_askings_begin_anew() -> None:
    old = [batch(1, item(ONE), item(THREE)), batch(2, item(ONE, again=1)), batch(3, item(ONE, again=2))]
    events = [*DISPUTED, *OTHERS]
    assert asked(events, *old) == [], "nobody has answered yet"
    assert ask_again(VIEW, events, old, SPEC, "key", 2) == [item(ONE, again=1)]
    new = batch(4, item(ONE, again=1), generation=2)
    assert ask_again(VIEW, events, [*old, new], SPEC, "key", 2) == []
    assert waiting_again([*old, new], by_record(events), 2, 2) == {"t again": 1}


@given(st.data())
def test_whatever_annotators_say_a_record_is_asked_few_times_and_keeps_its_purpose(data: st.DataObject) -> None:
    names = VIEW.record_ids[:8]
    purposes = {name: data.draw(st.sampled_from([Purpose.QUERY, Purpose.HOLDOUT])) for name in names}
    spec = spec_of(min_submitted=data.draw(st.integers(1, 3)), overlap=data.draw(st.sampled_from([0, 0.5, 1])))
    batches = [batch(1, *(item(name, purposes[name]) for name in names))]
    events: list[LabelEvent] = []
    for number in range(2, 9):
        for _ in range(data.draw(st.integers(0, 12))):
            name, who = data.draw(st.sampled_from(names)), data.draw(st.sampled_from("uvwxyz"))
            one = said(name, who, data.draw(st.sampled_from(["a", "b", "c", ""])), purposes[name])
            events.append(replace(one, response_updated_at=WHEN + timedelta(seconds=len(events))))
        again = ask_again(VIEW, events, batches, spec, "key", 1)
        assert len({found.record_id for found in again}) == len(again)
        for found in again:
            assert found.purpose is purposes[found.record_id]
            assert found.again == sum(it.record_id == found.record_id for before in batches for it in before.items)
            assert 1 <= found.again <= MOST_AGAIN
        assert again == ask_again(VIEW, events, batches, spec, "key", 1)
        batches.append(batch(number, *again[: data.draw(st.integers(0, 4))]))
