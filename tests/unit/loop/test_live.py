"""The verdict of a trial: what refuses a candidate, and what never does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, hypergeom

from tornio.loop.live import EARLY, LEAST, judge_trial, more_often, most
from tornio.schemas.trial import AgainstCurrent, TrialCounts, TrialVerdict
from tornio.spec import GateSpec

pytestmark = pytest.mark.unit

START = datetime(2026, 11, 22, tzinfo=UTC)
GATES = GateSpec.model_validate({"canary": {"share": 0.1, "minutes": 30, "texts": 200}})
AGAINST = AgainstCurrent(version="v1", texts=400, agreed=360, correction=0.0, variance=0.0001)


def counted(texts: int, agreement: float = 0.9, confidence: float = 0.8, **more: Any) -> TrialCounts:
    """A trial that goes as the hold-out let expect, one text a batch; ``more`` changes it."""
    usual = {
        "texts": texts, "agreed": round(agreement * texts), "confident": texts, "confidence": confidence * texts,
        "current_confidence": 0.8 * texts, "squares": 0.01 * texts, "comparisons": texts, "calls": texts,
        "current_calls": texts, "seconds": 0.002 * texts, "current_seconds": 0.002 * texts,
    }  # fmt: skip
    return TrialCounts.model_validate(usual | more)


def judged(counts: TrialCounts, minutes: float, against: AgainstCurrent | None = AGAINST) -> TrialVerdict | None:
    return judge_trial(counts, against, GATES, START, START + timedelta(minutes=minutes))


def test_a_good_candidate_is_promoted_when_the_time_is_over_and_not_before() -> None:
    assert judged(counted(5000), 29.9) is None
    verdict = judged(counted(5000), 30)
    assert verdict is not None
    assert verdict.promoted
    assert "5000 texts compared" in verdict.reasons[0]
    assert "agreement 0.900" in verdict.reasons[0]
    assert not verdict.warnings


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"errors": 20}, "it failed 20 of 1000 times, current 0 of 1000"),
        ({"slower": 700}, "it took more than twice as long as current for 700 of 1000 batches"),
        ({"agreement": 0.7}, r"it agrees with current on 0.700 of 1000 live texts, and on 0.900 of 400 hold-out"),
        ({"confidence": 0.6}, "its estimated accuracy on 1000 live texts is 0.200 lower"),
        ({"broken": "version v2 gives numbers that are not finite"}, "broken on live texts: version v2"),
    ],
)
def test_what_is_plainly_worse_is_refused_before_the_time_is_over(changes: dict[str, Any], why: str) -> None:
    verdict = judged(counted(1000, **changes), 3)
    assert verdict is not None
    assert not verdict.promoted
    assert any(why in reason for reason in verdict.reasons)


def test_one_broken_answer_is_enough() -> None:
    verdict = judged(TrialCounts(calls=1, errors=1, broken="NaN"), 0)
    assert verdict is not None
    assert not verdict.promoted


def test_what_both_versions_cannot_predict_is_not_the_candidate_s_fault() -> None:
    verdict = judged(counted(1000, errors=30, current_errors=30), 30)
    assert verdict is not None
    assert verdict.promoted


def test_a_better_candidate_that_answers_many_texts_otherwise_is_promoted() -> None:
    """It also did so on the hold-out; it is surer, and was right more often there."""
    against = AgainstCurrent(version="v1", texts=400, agreed=240, correction=0.02, variance=0.0005)
    verdict = judged(counted(3000, agreement=0.58, confidence=0.9), 30, against)
    assert verdict is not None
    assert verdict.promoted


def test_a_loss_of_confidence_that_the_hold_out_explains_is_none() -> None:
    """The candidate is less sure and as often right: current was too sure of itself."""
    calibrated = AGAINST.evolve(correction=0.1)
    verdict = judged(counted(3000, confidence=0.7), 30, calibrated)
    assert verdict is not None
    assert verdict.promoted


@pytest.mark.parametrize("against", [None, AGAINST.evolve(texts=49, agreed=45)])
def test_without_enough_of_a_hold_out_surprises_only_warn(against: AgainstCurrent | None) -> None:
    counts = counted(5000, agreement=0.3, confidence=0.5)
    assert judged(counts, 3, against) is None
    verdict = judged(counts, 30, against)
    assert verdict is not None
    assert verdict.promoted
    assert bool(verdict.warnings) == (against is not None)


def test_a_quiet_endpoint_takes_twice_the_time_and_then_the_gate_decides() -> None:
    counts = counted(12, dropped=3)
    assert judged(counts, 59) is None
    verdict = judged(counts, 60)
    assert verdict is not None
    assert verdict.promoted
    assert verdict.warnings == (
        "only 12 of 200 live texts were compared in 60 minutes (3 left out, because the replicas were busy), so the "
        "gate's decision stands",
    )


def test_where_texts_came_and_none_could_be_compared_the_candidate_is_refused() -> None:
    """It may be what keeps the replicas busy, and nothing else has measured its time."""
    busy = TrialCounts(answered=20000, calls=2000, dropped=20000)
    assert judged(busy, 59) is None
    verdict = judged(busy, 61)
    assert verdict is not None
    assert not verdict.promoted
    assert verdict.reasons == (
        "only 0 of 200 live texts were compared in 60 minutes (20000 left out, because the replicas were busy), so "
        "nothing shows that it keeps up",
    )
    measured = judged(counted(LEAST, dropped=20000), 61)
    assert measured is not None
    assert measured.promoted


def test_a_task_with_several_labels_per_text_has_no_confidences_and_is_judged_by_the_rest() -> None:
    several = AgainstCurrent(version="v1", texts=400, agreed=360)
    counts = counted(1000, confident=0, confidence=0.0, current_confidence=0.0, squares=0.0)
    verdict = judged(counts, 30, several)
    assert verdict is not None
    assert verdict.promoted


RATES = st.integers(0, 60), st.integers(1, 400), st.integers(0, 60), st.integers(1, 400)


@given(*RATES)
def test_fisher_s_test_is_scipy_s(events: int, n: int, other_events: int, other_n: int) -> None:
    events, other_events = min(events, n), min(other_events, other_n)
    p = more_often(events, n, other_events, other_n)
    if events * other_n > other_events * n:
        expected = hypergeom.sf(events - 1, n + other_n, events + other_events, n)
        assert p == pytest.approx(expected, rel=1e-6, abs=1e-12)
    else:
        assert p == 1.0


@given(st.integers(0, 500), st.integers(1, 500))
def test_the_sign_test_is_scipy_s(events: int, n: int) -> None:
    events = min(events, n)
    expected = binom.sf(events - 1, n, 0.5) if 2 * events > n else 1.0
    assert most(events, n) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@st.composite
def counts(draw: st.DrawFn) -> TrialCounts:
    texts, calls = draw(st.integers(0, 10_000)), draw(st.integers(0, 2000))
    share = st.floats(0, 1)
    confidences = texts * draw(share), texts * draw(share)
    return TrialCounts(
        texts=texts, agreed=round(texts * draw(share)), dropped=draw(st.integers(0, 100)), confident=texts,
        confidence=confidences[0], current_confidence=confidences[1], squares=texts * draw(share), comparisons=calls,
        slower=round(calls * draw(share)), calls=calls, errors=round(calls * draw(share)), current_calls=calls,
        current_errors=round(calls * draw(share)),
    )  # fmt: skip


@given(counts(), st.floats(0, 200))
def test_every_trial_ends_in_twice_its_time_and_says_why(seen: TrialCounts, minutes: float) -> None:
    verdict = judged(seen, minutes)
    if verdict is None:
        assert minutes < 60
    else:
        assert all(verdict.reasons)
        assert verdict.promoted <= (minutes >= 30)


@given(counts(), st.integers(1, 50))
def test_more_errors_never_help(seen: TrialCounts, more: int) -> None:
    worse = seen.evolve(errors=seen.errors + more, calls=seen.calls + more)
    before, after = judged(seen, 10), judged(worse, 10)
    if before is not None and not before.promoted and after is None:
        # only a reason that the added calls do not touch can have refused it: there is none
        raise AssertionError("more errors let a refused candidate go on")


@given(counts(), counts())
def test_counts_add_up_in_any_order(one: TrialCounts, other: TrialCounts) -> None:
    assert one + other == other + one
    assert one + TrialCounts() == one


@given(st.integers(0, LEAST - 1))
def test_a_few_texts_refuse_nobody_by_what_they_are_answered(texts: int) -> None:
    seen = counted(texts, agreement=0.0, confidence=0.0, slower=texts)
    assert judged(seen, 10) is None


def test_early_looks_need_more_evidence_than_the_last_one() -> None:
    """Found by chance once in 100 times: not early, but at the end."""
    seen = counted(1000, errors=9, current_errors=1)
    assert EARLY < more_often(9, 1000, 1, 1000) < 0.05
    assert judged(seen, 10) is None
