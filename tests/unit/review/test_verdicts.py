"""What several people's answers mean for the label that a row was given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.labels.events import EventKind, LabelEvent
from tornio.review.verdicts import Outcome, precision, verdicts
from tornio.scoring.ranking import Precision

pytestmark = pytest.mark.unit

T0 = datetime(2026, 1, 1, tzinfo=UTC)
LABELS = ("a", "b", "c")


def said(record_id: str, labels: str, who: str = "ann", at: int = 0, kind: str = "correction") -> LabelEvent:
    return LabelEvent(
        EventKind(kind),
        record_id,
        tuple(labels),
        1,
        "argilla",
        annotator=who,
        response_id=f"{record_id}/{who}",
        response_updated_at=T0 + timedelta(seconds=at),
        dataset="review",
    )


def outcome(given: str, *events: LabelEvent, multi_label: bool = False) -> Outcome:
    found = verdicts(events, "review", {"r": "digest"}, LABELS, multi_label)
    return found["digest"].outcome(tuple(given)) if found else Outcome.UNREVIEWED


@pytest.mark.parametrize(
    ("given", "events", "expected"),
    [
        ("a", [], "unreviewed"),
        ("a", [said("r", "a")], "confirmed"),
        ("a", [said("r", "b")], "changed"),
        ("a", [said("r", "", kind="discard")], "discarded"),
        ("a", [said("r", "b"), said("r", "a", "bob")], "disputed"),
        ("a", [said("r", "b"), said("r", "a", "bob"), said("r", "b", "cat")], "changed"),
        ("a", [said("r", "b"), said("r", "", "bob", kind="discard")], "changed"),
        ("a", [said("r", "b"), said("r", "a", at=5)], "confirmed"),
        ("a", [said("r", "b"), said("r", "", kind="withdraw")], "unreviewed"),
    ],
)
def test_an_outcome(given: str, events: list[LabelEvent], expected: str) -> None:
    assert outcome(given, *events) == expected


def test_several_labels_are_a_set() -> None:
    assert outcome("ab", said("r", "ba"), multi_label=True) is Outcome.CONFIRMED
    assert outcome("ab", said("r", ""), multi_label=True) is Outcome.CHANGED
    assert outcome("", said("r", ""), multi_label=True) is Outcome.CONFIRMED


def test_other_data_sets_and_other_records_do_not_count() -> None:
    elsewhere = LabelEvent(EventKind.CORRECTION, "r", ("b",), 1, "argilla", annotator="ann", dataset="tickets")
    assert outcome("a", elsewhere, said("unknown", "b")) is Outcome.UNREVIEWED


def test_who_and_when() -> None:
    events = [said("r", "b", "bob", 3), said("r", "b", "ann", 7), said("r", "", "cat", 9, kind="discard")]
    (verdict,) = verdicts(events, "review", {"r": "digest"}, LABELS, False).values()
    assert verdict.who == ("ann", "bob")
    assert verdict.when == T0 + timedelta(seconds=7)


def test_precision_is_the_share_of_the_decided() -> None:
    events = [said("1", "a"), said("2", "b"), said("3", "b"), said("4", "", kind="discard"), said("5", "a")]
    events.append(said("5", "b", "bob"))
    digests = {str(n): f"d{n}" for n in range(1, 7)}
    found = verdicts(events, "review", digests, LABELS, False)
    so_far = precision(dict.fromkeys(digests.values(), ("a",)), found)
    assert so_far == Precision(shown=6, reviewed=3, changed=2, discarded=1, disputed=1)
    assert so_far.share == pytest.approx(2 / 3)
    assert precision({}, {}).share is None


@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("abc"), st.sampled_from(["ann", "bob"])), max_size=12)
)
def test_counts_never_exceed_what_was_shown(answers: list[tuple[str, str, str]]) -> None:
    events = [said(record, label, who, at) for at, (record, label, who) in enumerate(answers)]
    found = verdicts(events, "review", {"x": "x", "y": "y", "z": "z"}, LABELS, False)
    so_far = precision({"x": ("a",), "y": ("b",)}, found)
    assert so_far.changed <= so_far.reviewed
    touched = {record for record, _, _ in answers} & {"x", "y"}
    assert so_far.reviewed + so_far.discarded + so_far.disputed == len(touched)
