"""Which label counts: precedence, majority, ties, discards, answers taken back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.labels.agreement import Agreement, agreement, krippendorff_alpha
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.resolve import Resolved, annotators_done, resolve
from tornio.records import Purpose

pytestmark = pytest.mark.unit

T0 = datetime(2025, 1, 1, tzinfo=UTC)
ORDER = ("a", "b", "c")


def said(kind: EventKind, labels: str = "", who: str = "ann", at: int = 0, **fields: object) -> LabelEvent:
    """One event on record r; each letter of ``labels`` is a label."""
    defaults = {
        "annotator": who,
        "response_id": f"r/{who}",
        "response_updated_at": T0 + timedelta(seconds=at),
        "purpose": Purpose.QUERY,
    }
    return LabelEvent(kind, "r", tuple(labels), 1, "argilla", **(defaults | fields))  # type: ignore[arg-type]


def answer(labels: str, who: str = "ann", at: int = 0, **fields: object) -> LabelEvent:
    return said(EventKind.ANSWER, labels, who, at, **fields)


def imported(labels: str, purpose: Purpose = Purpose.QUERY) -> LabelEvent:
    return LabelEvent(EventKind.IMPORT, "r", tuple(labels), 1, "import:x.csv", purpose=purpose)


def auto(labels: str, version: str = "v1") -> LabelEvent:
    return LabelEvent(EventKind.AUTO, "r", tuple(labels), 1, f"auto:{version}", model_version=version)


AUTO_GONE = LabelEvent(EventKind.WITHDRAW, "r", (), 1, "auto:v1", model_version="v1")
TOMBSTONE = LabelEvent(EventKind.TOMBSTONE, "r", (), 1, "api:ops")


def outcome(*events: LabelEvent, multi_label: bool = False, min_submitted: int = 1) -> Resolved:
    return resolve(events, ORDER, multi_label, min_submitted)["r"]


@pytest.mark.parametrize(
    ("events", "labels", "kind"),
    [
        ([imported("a")], "a", EventKind.IMPORT),
        ([imported("a"), imported("b")], "b", EventKind.IMPORT),
        ([answer("b"), imported("a")], "b", EventKind.ANSWER),
        ([auto("c")], "c", EventKind.AUTO),
        ([auto("c"), auto("a", "v2")], "a", EventKind.AUTO),
        ([imported("a"), auto("c")], "a", EventKind.IMPORT),
        ([said(EventKind.CORRECTION, "c", "eve", 1), answer("b", "ann", 9)], "c", EventKind.CORRECTION),
        ([auto("c"), auto("b", "v2"), AUTO_GONE], "b", EventKind.AUTO),
    ],
)
def test_precedence(events: Sequence[LabelEvent], labels: str, kind: EventKind) -> None:
    resolved = outcome(*events)
    assert (resolved.labels, resolved.kind) == (tuple(labels), kind)


def test_a_tombstone_outranks_everything() -> None:
    resolved = outcome(TOMBSTONE, said(EventKind.CORRECTION, "a", at=9))
    assert resolved.deleted
    assert resolved.labels is None


def test_auto_labels_go_with_their_version() -> None:
    assert outcome(auto("c"), AUTO_GONE) == Resolved()
    assert outcome(imported("a"), auto("c"), AUTO_GONE).labels == ("a",)


def test_the_tools_clock_orders_answers_and_the_place_decides_ties() -> None:
    assert outcome(answer("b", at=5), answer("a", at=1)).labels == ("b",)
    assert outcome(answer("a", at=5), answer("b", at=5)).labels == ("b",)
    assert outcome(answer("a", at=1), answer("b", at=2), answer("a", at=3)).labels == ("a",)


def test_an_answer_taken_back_is_gone_until_another_comes() -> None:
    gone = [answer("a", at=5), said(EventKind.WITHDRAW, at=5)]
    assert outcome(*gone) == Resolved(purpose=None)
    assert outcome(imported("b"), *gone).labels == ("b",)
    assert outcome(*gone, answer("c", at=6)).labels == ("c",)
    assert outcome(answer("c", at=6), *gone).labels == ("c",)


@pytest.mark.parametrize(
    ("votes", "labels"),
    [(["a", "a", "b"], "a"), (["a", "b"], None), (["a", "b", "c"], None), (["a", "b", "b", "a"], None), (["c"], "c")],
)
def test_single_label_majority(votes: list[str], labels: str | None) -> None:
    resolved = outcome(*(answer(vote, f"u{index}") for index, vote in enumerate(votes)))
    assert resolved.labels == (None if labels is None else tuple(labels))
    assert resolved.disputed is (labels is None)
    assert resolved.annotators == len(votes)


@pytest.mark.parametrize(
    ("votes", "labels"),
    [(["ba", "a", "c"], "a"), (["ab", "ba"], "ab"), (["a", "b"], ""), (["", ""], ""), (["cb"], "bc")],
)
def test_multi_label_takes_what_more_than_half_name(votes: list[str], labels: str) -> None:
    resolved = outcome(*(answer(vote, f"u{index}") for index, vote in enumerate(votes)), multi_label=True)
    assert resolved.labels == tuple(labels)
    assert not resolved.disputed


def test_a_discard_finishes_without_a_label_and_is_no_vote() -> None:
    discard = said(EventKind.DISCARD, who="bob")
    assert outcome(discard).discarded
    assert outcome(discard).labels is None
    assert outcome(imported("a"), discard).discarded, "a person outranks a file"
    assert outcome(discard, answer("a"), min_submitted=2).labels == ("a",)


def test_annotators_decide_once_enough_have_answered() -> None:
    assert outcome(answer("a"), min_submitted=2) == Resolved(annotators=1)
    assert outcome(imported("b"), answer("a"), min_submitted=2).labels == ("b",)
    assert outcome(answer("a"), answer("a", "bob"), min_submitted=2).labels == ("a",)


def test_annotators_done_counts_people_once() -> None:
    events = [answer("a", at=1), answer("b", at=2), said(EventKind.DISCARD, who="bob"), imported("a"), auto("c")]
    assert annotators_done(events) == 2
    assert annotators_done([*events, said(EventKind.WITHDRAW, at=2)]) == 1


def test_what_annotators_saw_as_hold_out_stays_hold_out() -> None:
    shown = answer("a", purpose=Purpose.HOLDOUT)
    assert outcome(shown, said(EventKind.WITHDRAW, purpose=Purpose.HOLDOUT), imported("b")).purpose is Purpose.HOLDOUT
    assert outcome(imported("b", Purpose.HOLDOUT), imported("b")).purpose is Purpose.QUERY


def test_agreement_needs_two_answers() -> None:
    assert agreement([answer("a"), said(EventKind.DISCARD, who="bob")]) is None
    assert agreement([answer("a"), answer("a", "bob")]) == Agreement(1.0, 1)


def test_alpha_is_the_papers() -> None:
    """Krippendorff (2011), part C: nominal data, four observers, twelve units, alpha = .743."""
    observers = [
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    ]
    columns = zip(*(row.split() for row in observers), strict=True)
    units = [[value for value in column if value != "."] for column in columns]
    assert krippendorff_alpha([unit for unit in units if len(unit) > 1]) == pytest.approx(0.743, abs=5e-4)


VOTES = st.lists(st.sampled_from("abc"), min_size=1, max_size=6)


@given(VOTES, st.randoms())
def test_the_order_of_annotators_does_not_matter(votes: list[str], random: object) -> None:
    events = [answer(vote, f"u{index}", at=index) for index, vote in enumerate(votes)]
    expected = outcome(*events)
    random.shuffle(events)  # type: ignore[attr-defined]
    assert outcome(*events) == expected
    if expected.labels:
        (winner,) = expected.labels
        assert all(votes.count(winner) > votes.count(other) for other in {*votes} - {winner})


def test_taking_back_a_correction_leaves_what_was_answered_before() -> None:
    first = answer("a", at=1, dataset="tickets")
    second = said(EventKind.CORRECTION, "b", at=2, dataset="tickets-review", response_id="other")
    gone = said(EventKind.WITHDRAW, at=2, dataset="tickets-review", response_id="other")
    assert outcome(first, second).labels == ("b",)
    assert outcome(first, second, gone) == outcome(first)
    assert annotators_done([second, gone]) == 0


def test_of_two_reviews_by_one_person_the_later_counts() -> None:
    said_twice = [
        said(EventKind.CORRECTION, label, at=at, dataset=f"review-{at}") for at, label in ((5, "b"), (3, "c"))
    ]
    assert outcome(*said_twice).labels == ("b",)
    assert outcome(*reversed(said_twice)).labels == ("b",)
