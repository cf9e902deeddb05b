"""What becomes of answers when labels change: nothing is lost, and what lost its label is asked again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.label_sets import LabelSet, former_names, translate, translate_label
from tornio.labels.resolve import resolve
from tornio.records import Purpose

pytestmark = pytest.mark.unit
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = LabelSet(1)


def answer(record: str, label: str, who: str = "ann", rev: int = 1, minute: int = 0, **given: object) -> LabelEvent:
    fields: dict[str, object] = {
        "annotator": who, "response_id": f"{record}-{who}-{rev}", "dataset": f"t-{rev}",
        "response_updated_at": NOW + timedelta(minutes=minute), "purpose": Purpose.QUERY, **given,
    }  # fmt: skip
    return LabelEvent(EventKind.ANSWER, record, (label,) if label else (), rev, "argilla", **fields)  # type: ignore[arg-type]


def imported(record: str, label: str, purpose: Purpose = Purpose.QUERY) -> LabelEvent:
    return LabelEvent(EventKind.IMPORT, record, (label,), 1, "import:x", purpose=purpose, origin=record + label)


def labels_of(events: tuple[LabelEvent, ...], min_submitted: int = 1) -> dict[str, tuple[str, ...] | None]:
    return {name: one.labels for name, one in resolve(events, (), False, min_submitted).items()}


def test_renamed_and_merged_labels_keep_their_answers_and_a_removed_one_is_asked_again() -> None:
    sets = (FIRST, LabelSet(2, 2, {"a": "A", "b": "A", "c": None}))
    seen = translate([answer("1", "a"), answer("2", "b"), answer("3", "c")], sets, False, 1)
    assert labels_of(seen.events) == {"1": ("A",), "2": ("A",), "3": None}
    assert seen.lapsed == {"3"}


def test_an_answer_under_the_new_labels_is_as_it_was_given() -> None:
    sets = (FIRST, LabelSet(2, 2, {"a": None, "b": "a"}))
    seen = translate([answer("1", "a"), answer("1", "a", rev=2, minute=1)], sets, False, 1)
    assert labels_of(seen.events) == {"1": ("a",)}
    assert not seen.lapsed


def test_a_late_answer_under_the_old_labels_is_translated() -> None:
    sets = (FIRST, LabelSet(2, 2, {"a": "b", "b": "c"}))
    events = [answer("1", "b", rev=2, minute=1), answer("1", "b", minute=2)]  # the second one is old "b"
    assert labels_of(translate(events, sets, False, 1).events) == {"1": ("c",)}


def test_answers_lapse_with_the_label_that_was_agreed_on() -> None:
    sets = (FIRST, LabelSet(2, 2, {"a": "a", "b": None}))
    agreed = [answer("1", "a", "x"), answer("1", "b", "y"), answer("1", "b", "z")]
    outvoted = [answer("2", "a", "x"), answer("2", "a", "y"), answer("2", "b", "z")]
    seen = translate([*agreed, *outvoted], sets, False, 3)
    assert seen.lapsed == {"1", "2"}, "a third annotator has to answer again"
    assert labels_of(translate([*agreed, *outvoted], sets, False, 2).events, 2) == {"1": None, "2": ("a",)}


def test_an_import_that_lapses_does_not_bring_back_an_earlier_one() -> None:
    sets = (FIRST, LabelSet(2, 2, {"a": "a", "b": None}))
    seen = translate([imported("1", "a"), imported("1", "b")], sets, False, 1)
    assert labels_of(seen.events) == {"1": None}
    assert seen.lapsed == {"1"}


def test_the_hold_out_stays_the_hold_out() -> None:
    sets = (FIRST, LabelSet(2, 2, {"a": None}))
    events = [answer("1", "a", purpose=Purpose.HOLDOUT), imported("2", "a", Purpose.HOLDOUT)]
    seen = translate(events, sets, False, 1)
    assert [one.purpose for one in seen.events] == [Purpose.HOLDOUT, Purpose.HOLDOUT]
    assert [one.event for one in seen.events] == [EventKind.ANSWER, EventKind.IMPORT], "an import keeps it held out"
    assert resolve(seen.events, (), False)["1"].purpose is Purpose.HOLDOUT


def test_discarded_and_deleted_texts_stay_so() -> None:
    sets = (FIRST, LabelSet(2, 2, {"a": None}))
    discard = LabelEvent(EventKind.DISCARD, "1", (), 1, "argilla", annotator="ann", response_updated_at=NOW)
    gone = [answer("2", "a"), LabelEvent(EventKind.TOMBSTONE, "2", (), 1, "api:k")]
    seen = translate([discard, *gone], sets, False, 1)
    found = resolve(seen.events, (), False)
    assert found["1"].discarded
    assert found["2"].deleted
    assert not seen.lapsed


def test_of_several_labels_the_others_stay() -> None:
    sets = (FIRST, LabelSet(2, 2, {"a": "a", "b": None, "c": "a"}))
    events = [
        answer("1", "").__class__(EventKind.IMPORT, name, labels, 1, "import:x", purpose=Purpose.QUERY)
        for name, labels in {"1": ("a", "b", "c"), "2": ("b",), "3": ()}.items()
    ]
    seen = translate(events, sets, True, 1)
    found = {name: one.labels for name, one in resolve(seen.events, (), True).items()}
    assert found == {"1": ("a",), "2": None, "3": ()}, "to have none of the labels is an answer"
    assert seen.lapsed == {"2"}


NAMES = ("a", "b", "c", "d")


@st.composite
def histories(draw: st.DrawFn) -> tuple[LabelSet, ...]:
    """Random migrations, each of the labels that the one before left."""
    sets, present = [FIRST], list(NAMES)
    for rev in range(2, 2 + draw(st.integers(1, 4))):
        becomes = {name: draw(st.sampled_from([*present, f"n{rev}", None])) for name in present}
        sets.append(LabelSet(rev, rev, becomes))
        present = sorted({name for name in becomes.values() if name is not None} | {f"added{rev}", f"too{rev}"})
    return tuple(sets)


@given(histories(), st.lists(st.tuples(st.integers(0, 5), st.sampled_from(NAMES)), max_size=20))
def test_whatever_the_migrations_every_label_is_translated_or_asked_again(
    sets: tuple[LabelSet, ...], given_answers: list[tuple[int, str]]
) -> None:
    events = [answer(str(record), name, minute=at) for at, (record, name) in enumerate(given_answers)]
    before = labels_of(tuple(events))
    seen = translate(events, sets, False, 1)
    after = labels_of(seen.events)
    assert before.keys() == after.keys(), "no record is lost"
    for record, old in before.items():
        assert old is not None
        now = translate_label(old[0], sets, 1)
        assert after[record] == (None if now is None else (now,))
        assert (record in seen.lapsed) == (now is None)
    assert [one.key for one in seen.events] == [one.key for one in events]


def test_the_name_of_now_of_each_label_that_the_task_has_had() -> None:
    sets = (FIRST, LabelSet(2, 2, {"a": "b", "b": "c", "d": None}), LabelSet(3, 3, {"b": "B", "c": "c"}))
    assert former_names(sets) == {"a": "B", "b": "B", "d": None, "c": "c"}, "of the two called b the later one counts"
    assert former_names(sets[:1]) == {}
