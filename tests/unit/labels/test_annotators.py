"""The agreement of annotators with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.labels.annotators import AnnotatorWork, LabelAgreement, PairAgreement, annotator_report
from tornio.labels.events import EventKind, LabelEvent

pytestmark = pytest.mark.unit

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("bug", "praise", "question")
Rows = Sequence[tuple[str, str, tuple[str, ...]]]


def events(rows: Rows, kind: EventKind = EventKind.ANSWER) -> list[LabelEvent]:
    """Return an event for each (record, annotator, labels)."""
    return [
        LabelEvent(
            kind, record, labels, 1, "argilla", annotator=who, response_id=f"{record}-{who}", response_updated_at=MOMENT
        )
        for record, who, labels in rows
    ]


def test_each_is_compared_with_the_majority_of_the_others() -> None:
    log = events(
        [
            ("1", "ada", ("bug",)), ("1", "ben", ("bug",)), ("1", "cas", ("praise",)),
            ("2", "ada", ("bug",)), ("2", "ben", ("praise",)),
            ("3", "ada", ("praise",)),
        ]
    )  # fmt: skip
    report = annotator_report([*log, *events([("4", "cas", ())], EventKind.DISCARD)], NAMES, multi_label=False)
    # In record 1 the two others of ada (and those of ben) disagree, so nothing can be compared.
    assert report.annotators == (
        AnnotatorWork("ada", answers=3, discards=0, compared=1, agrees=0, times=(MOMENT,) * 3),
        AnnotatorWork("ben", answers=2, discards=0, compared=1, agrees=0, times=(MOMENT,) * 2),
        AnnotatorWork("cas", answers=1, discards=1, compared=1, agrees=0, times=(MOMENT,) * 2),
    )
    assert report.pairs[0] == PairAgreement("ada", "ben", records=2, agrees=1, kappa=0.0)
    assert [(pair.first, pair.second) for pair in report.pairs] == [("ada", "ben"), ("ada", "cas"), ("ben", "cas")]


def test_the_pace_counts_what_still_stands_and_says_how_many_are_recent() -> None:
    early, late = MOMENT, MOMENT + timedelta(hours=5)
    first = [
        replace(one, response_updated_at=early) for one in events([("1", "ada", ("bug",)), ("2", "ada", ("bug",))])
    ]
    again = [replace(one, response_updated_at=late) for one in events([("2", "ada", ("praise",))])]
    discard = [replace(one, response_updated_at=late) for one in events([("3", "ada", ())], EventKind.DISCARD)]
    withdrawn = [replace(one, response_updated_at=late) for one in events([("1", "ada", ())], EventKind.WITHDRAW)]
    (ada,) = annotator_report([*first, *again, *discard], NAMES, multi_label=False).annotators
    assert ada.times == (early, late, late)
    assert (ada.since(early - timedelta(seconds=1)), ada.since(early)) == (3, 2)
    (ada,) = annotator_report([*first, *again, *withdrawn], NAMES, multi_label=False).annotators
    assert ada.times == (late,)


def test_label_by_label_it_shows_which_label_is_unclear() -> None:
    log = events(
        [(str(n), who, ("question",)) for n in range(4) for who in ("ada", "ben")]
        + [("4", "ada", ("bug",)), ("4", "ben", ("praise",)), ("5", "ada", ("bug",)), ("5", "ben", ("bug",))]
    )
    found = {one.label: one for one in annotator_report(log, NAMES, multi_label=False).labels}
    assert found["question"] == LabelAgreement("question", 1.0, 4)
    assert found["bug"].records == 2
    assert found["praise"].alpha < found["bug"].alpha < 1


def test_without_common_records_there_is_nothing_to_compare() -> None:
    report = annotator_report(events([("1", "ada", ("bug",)), ("2", "ben", ("bug",))]), NAMES, multi_label=False)
    assert (report.pairs, report.labels) == ((), ())
    assert [(one.compared, one.agrees) for one in report.annotators] == [(0, 0), (0, 0)]


def test_a_withdrawn_answer_does_not_count() -> None:
    rows: Rows = [("1", "ada", ("bug",)), ("1", "ben", ("bug",))]
    withdrawn = events(rows[1:], EventKind.WITHDRAW)
    report = annotator_report([*events(rows), *withdrawn], NAMES, multi_label=False)
    assert [(one.annotator, one.answers) for one in report.annotators] == [("ada", 1)]


def test_several_labels_agree_as_sets() -> None:
    log = events([("1", "ada", ("bug", "praise")), ("1", "ben", ("praise", "bug")), ("1", "cas", ("bug",))])
    report = annotator_report(log, NAMES, multi_label=True)
    assert [pair.agrees for pair in report.pairs] == [1, 0, 0]


answers = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), min_size=1, max_size=30)


@given(answers)
def test_kappa_is_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    rows = [(str(n), who, (label,)) for n, pair in enumerate(pairs) for who, label in zip("ab", pair, strict=True)]
    (pair,) = annotator_report(events(rows), NAMES, multi_label=False).pairs
    cohen_kappa_score = pytest.importorskip("sklearn.metrics").cohen_kappa_score
    first, second = zip(*pairs, strict=True)
    if len({*first, *second}) == 1:
        assert pair.kappa == 1
    else:
        assert pair.kappa == pytest.approx(cohen_kappa_score(first, second))
