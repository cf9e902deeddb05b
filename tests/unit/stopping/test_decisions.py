"""Criteria that look at labels and the hold-out, and several criteria together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from tornio.errors import InvalidSpec
from tornio.schemas.loop import HoldoutLook
from tornio.spec import StopSpec, TaskSpec
from tornio.stopping import StopFacts, levels, lower_bound, single_criteria, stop_state
from tornio.tasks.names import check_names

pytestmark = pytest.mark.unit

TARGET = {"criterion": "target-accuracy", "settings": {"accuracy": 0.9}}
BUDGET = {"criterion": "budget", "settings": {"labels": 100}}
KAPPA = {"criterion": "kappa-average", "window": 2, "kappa": 0.9}
AGREEING = {"kappa-average": (0.5, 0.95, 0.95)}


def several(name: str, *criteria: dict[str, Any]) -> StopSpec:
    return StopSpec(criterion=name, settings={"criteria": list(criteria)})


def task(stop: dict[str, Any], **fields: Any) -> TaskSpec:
    spec = {"workspace": "w", "name": "t", "labels": ["a", "b"], "loop": {"stop": stop}}
    return TaskSpec.model_validate(spec | fields)


@given(n=st.integers(1, 500), share=st.floats(0.01, 1), error=st.floats(0.0001, 0.5))
def test_the_bound_is_exact(n: int, share: float, error: float) -> None:
    """A model that is just as good as the bound has so many right with exactly the error's probability."""
    right = max(1, round(share * n))
    assert binom.sf(right - 1, n, lower_bound(right, n, error)) == pytest.approx(error, rel=1e-6)


def test_nothing_right_bounds_nothing() -> None:
    assert lower_bound(0, 100, 0.05) == 0


@given(right=st.integers(0, 300), n=st.integers(1, 300), iteration=st.integers(1, 99))
def test_a_later_look_at_the_same_answers_never_stops_earlier(right: int, n: int, iteration: int) -> None:
    spec, right = StopSpec(**TARGET), min(right, n)
    early, late = (
        stop_state(spec, StopFacts(holdout=HoldoutLook(iteration=number, right=right, labels=n))).reason
        for number in (iteration, iteration + 1)
    )
    assert early or not late


def test_all_looks_together_err_with_the_probability_that_was_asked_for() -> None:
    assert sum(1 / (k * (k + 1)) for k in range(1, 100_000)) == pytest.approx(1, abs=1e-4)


def test_a_target_is_reached_by_the_bound_and_not_by_the_score() -> None:
    few, many = (HoldoutLook(iteration=3, right=19 * n, labels=20 * n) for n in (1, 30))
    assert stop_state(StopSpec(**TARGET), StopFacts(holdout=few)).reason is None
    assert "570 of 600 hold-out labels are right" in str(stop_state(StopSpec(**TARGET), StopFacts(holdout=many)).reason)


def test_without_a_judgement_no_target_is_reached() -> None:
    assert stop_state(StopSpec(**TARGET), StopFacts(iterations=50)).reason is None


def test_a_budget_counts_labels() -> None:
    assert stop_state(StopSpec(**BUDGET), StopFacts(answered=99)).reason is None
    assert stop_state(StopSpec(**BUDGET), StopFacts(answered=100)).spent


@pytest.mark.parametrize(
    ("name", "answered", "stops"), [("any", 10, True), ("all", 10, False), ("any", 100, True), ("all", 100, True)]
)
def test_any_and_all(name: str, answered: int, stops: bool) -> None:
    state = stop_state(several(name, KAPPA, BUDGET), StopFacts(AGREEING, answered=answered))
    assert bool(state.reason) == stops


def test_one_that_is_spent_is_enough_for_any_and_not_for_all() -> None:
    facts = StopFacts(AGREEING, answered=100)
    assert stop_state(several("any", KAPPA, BUDGET), facts).spent
    assert not stop_state(several("all", KAPPA, BUDGET), facts).spent


def test_the_same_criterion_stands_twice_with_settings_of_its_own() -> None:
    strict = {**KAPPA, "kappa": 0.99}
    assert stop_state(several("any", strict, KAPPA), StopFacts(AGREEING)).reason
    assert not stop_state(several("all", strict, KAPPA), StopFacts(AGREEING)).reason


def test_a_criterion_that_is_missing_is_not_met_and_is_named() -> None:
    missing = {"criterion": "from-a-later-release"}
    state = stop_state(several("all", missing, KAPPA), StopFacts(AGREEING))
    assert state.reason is None
    assert "from-a-later-release" in str(state.trouble)
    assert stop_state(several("any", missing, KAPPA), StopFacts(AGREEING)).reason


def test_settings_of_a_later_release_never_stop_the_loop() -> None:
    spec = StopSpec(criterion="budget", settings={"labels": 1, "later": 2})
    state = stop_state(spec, StopFacts(answered=50))
    assert state.reason is None
    assert "later" in str(state.trouble)


def test_it_shows_how_far_each_criterion_is() -> None:
    inner = {"criterion": "all", "settings": {"criteria": [BUDGET, TARGET]}}
    spec = StopSpec(criterion="any", settings={"criteria": [KAPPA, inner]}, max_iterations=7)
    look = HoldoutLook(iteration=1, right=95, labels=100)
    shown = levels(spec, StopFacts(AGREEING, iterations=4, answered=150, holdout=look))
    assert [(one.criterion, one.threshold, one.met) for one in shown] == [
        ("kappa-average", 0.9, True),
        ("budget", 100, True),
        ("target-accuracy", 0.9, False),
        ("max-iterations", 7, False),
    ]
    assert [one.value for one in shown] == pytest.approx([0.95, 150, lower_bound(95, 100, 0.025), 4])


def test_levels_of_a_broken_spec_are_none() -> None:
    assert single_criteria(StopSpec(criterion="any")) == ()
    (level,) = levels(StopSpec(criterion="budget"), StopFacts(answered=5))
    assert (level.threshold, level.met) == (None, False)


@pytest.mark.parametrize("stop", [TARGET, BUDGET, KAPPA, {"criterion": "delta-f-score"}])
def test_specs_that_are_accepted(stop: dict[str, Any]) -> None:
    check_names(task(stop))
    check_names(task({"criterion": "all", "settings": {"criteria": [stop]}}))


@pytest.mark.parametrize(
    ("stop", "says"),
    [
        ({"criterion": "budget"}, "labels"),
        ({"criterion": "target-accuracy", "settings": {"accuracy": 1.5}}, "accuracy"),
        ({"criterion": "any", "settings": {"criteria": []}}, "criteria"),
        ({"criterion": "any", "settings": {"criteria": [{"criterion": "budgte"}]}}, "Did you mean 'budget'"),
        ({"criterion": "any", "settings": {"criteria": [{"stop_set_size": 50}]}}, "share the stop set"),
        ({"criterion": "all", "settings": {"criteria": [{"criterion": "max-iterations"}]}}, "max_iterations"),
    ],
)
def test_specs_that_are_refused(stop: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSpec, match=says):
        check_names(task(stop))


@pytest.mark.parametrize("fields", [{"multi_label": True}, {"labels": ["a", "b", "c"]}])
def test_the_f_score_is_of_two_labels(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpec, match="two labels, one per text"):
        check_names(task({"criterion": "delta-f-score"}, **fields))


def test_criteria_do_not_stand_in_each_other_without_end() -> None:
    stop: dict[str, Any] = KAPPA
    for _ in range(4):
        stop = {"criterion": "any", "settings": {"criteria": [stop]}}
    with pytest.raises(InvalidSpec, match="3 levels"):
        check_names(task(stop))
