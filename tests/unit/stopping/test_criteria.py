"""Stopping criteria stop where small-text's do on the same predictions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import small_text
from hypothesis import given, settings
from hypothesis import strategies as st
from small_text.stopping_criteria.base import StoppingCriterion
from small_text.stopping_criteria.change import ClassificationChange
from small_text.stopping_criteria.kappa import KappaAverage
from small_text.stopping_criteria.uncertainty import OverallUncertainty

from tornio.spec import StopSpec
from tornio.stopping import CRITERIA, StopFacts, StopPredictions, cohen_kappa, kappa_average, stop_state
from tornio.stopping.uncertainty import mean_entropy

pytestmark = pytest.mark.unit


def stabilising(seed: int, rounds: int, classes: int, constant_from: int) -> list[np.ndarray]:
    """Predictions of a model that changes less and less, and from some round on not at all."""
    random = np.random.default_rng(seed)
    predictions = [random.integers(0, classes, 60)]
    for i in range(1, rounds):
        changed = random.random(60) < (0.0 if i >= constant_from else 0.5 / i)
        predictions.append(np.where(changed, random.integers(0, classes, 60), predictions[-1]))
    return predictions


def stop_predictions(classes: np.ndarray, count: int | None = None) -> StopPredictions:
    names = tuple(str(label) for label in range(count or classes.max() + 1))
    probabilities = np.eye(len(names), dtype=np.float32)[classes]
    return StopPredictions(names, False, probabilities, [(str(label),) for label in classes])


def first_stop(criterion: StoppingCriterion, predictions: list[np.ndarray]) -> int | None:
    for i, found in enumerate(predictions):
        if criterion.stop(predictions=found):
            return i
    return None


@settings(max_examples=40)
@given(
    seed=st.integers(0, 999),
    classes=st.integers(2, 6),
    window=st.integers(1, 5),
    kappa=st.sampled_from([0.5, 0.8, 0.9, 0.99, 1.0]),
    constant_from=st.integers(1, 20),
)
def test_kappa_average_is_small_texts(seed: int, classes: int, window: int, kappa: float, constant_from: int) -> None:
    predictions = stabilising(seed, 15, classes, constant_from)
    theirs = first_stop(KappaAverage(classes, window_size=window, kappa=kappa), predictions)
    spec = StopSpec(window=window, kappa=kappa)
    criterion = CRITERIA.get("kappa-average")
    signals: list[float] = []
    ours = None
    for i in range(1, len(predictions)):
        signal = criterion.signal(stop_predictions(predictions[i - 1]), stop_predictions(predictions[i]))
        assert signal is not None
        signals.append(signal)
        if stop_state(spec, StopFacts({"kappa-average": signals}, i + 1)).reason:
            ours = i
            break
    assert ours == theirs


def our_first_stop(spec: StopSpec, predictions: Sequence[StopPredictions]) -> int | None:
    signals: list[float] = []
    for i, (before, after) in enumerate(pairwise(predictions), 1):
        signal = CRITERIA.get(spec.criterion).signal(before, after)
        assert signal is not None
        signals.append(signal)
        if stop_state(spec, StopFacts({spec.criterion: signals}, i + 1)).reason:
            return i
    return None


@settings(max_examples=40)
@given(
    seed=st.integers(0, 999),
    classes=st.integers(2, 6),
    threshold=st.sampled_from([0.0, 0.05, 0.1, 0.25]),
    constant_from=st.integers(1, 20),
)
def test_classification_change_is_small_texts(seed: int, classes: int, threshold: float, constant_from: int) -> None:
    predictions = stabilising(seed, 15, classes, constant_from)
    theirs = first_stop(ClassificationChange(classes, threshold=threshold), predictions)
    spec = StopSpec(criterion="classification-change", settings={"threshold": threshold})
    assert our_first_stop(spec, [stop_predictions(found, classes) for found in predictions]) == theirs


@settings(max_examples=40)
@given(
    seed=st.integers(0, 999),
    window=st.integers(1, 4),
    threshold=st.sampled_from([0.01, 0.05, 0.2]),
    constant_from=st.integers(1, 20),
    rare=st.booleans(),
)
def test_delta_f_score_is_small_texts(seed: int, window: int, threshold: float, constant_from: int, rare: bool) -> None:
    predictions = stabilising(seed, 15, 2, constant_from)
    if rare:  # versions that never say the positive class
        predictions = [found * (i % 4 > 1) for i, found in enumerate(predictions)]
    with np.errstate(invalid="ignore"):
        theirs = first_stop(small_text.DeltaFScore(2, window_size=window, threshold=threshold), predictions)
    spec = StopSpec(criterion="delta-f-score", settings={"window": window, "threshold": threshold})
    assert our_first_stop(spec, [stop_predictions(found, 2) for found in predictions]) == theirs


@settings(max_examples=40)
@given(seed=st.integers(0, 999), classes=st.integers(2, 6), threshold=st.sampled_from([0.05, 0.3, 0.6]))
def test_overall_uncertainty_is_small_texts(seed: int, classes: int, threshold: float) -> None:
    random = np.random.default_rng(seed)
    rounds = [random.dirichlet([1 / (1 + i)] * classes, 40).astype(np.float32) for i in range(10)]
    criterion = OverallUncertainty(classes, threshold=threshold)
    theirs = next((i for i, p in enumerate(rounds) if criterion.stop(proba=p, indices_stopping=np.arange(40))), None)
    names = tuple(map(str, range(classes)))
    ours = [StopPredictions(names, False, p, [(names[row],) for row in p.argmax(axis=1)]) for p in rounds]
    spec = StopSpec(criterion="overall-uncertainty", settings={"threshold": threshold})
    assert our_first_stop(spec, [ours[0], *ours]) == (None if theirs is None else theirs + 1)


def test_uncertainty_of_several_labels_is_that_of_yes_or_no() -> None:
    unsure, sure = np.full((3, 2), 0.5, dtype=np.float32), np.eye(2, dtype=np.float32)
    assert mean_entropy(unsure, multi_label=True) == pytest.approx(1)
    assert mean_entropy(sure, multi_label=True) == 0
    assert mean_entropy(np.ones((3, 1), dtype=np.float32), multi_label=False) is None


def test_one_class_for_ever_is_agreement() -> None:
    same = [np.zeros(20, dtype=int)] * 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert first_stop(KappaAverage(2, window_size=3), same) == 3
    assert kappa_average([cohen_kappa(["a"] * 20, ["a"] * 20)] * 3, 3) == 1.0


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_max_iterations_is_small_texts(limit: int) -> None:
    criterion = small_text.MaxIterations(limit)
    spec = StopSpec(criterion="max-iterations", max_iterations=limit)
    for iteration in range(1, 10):
        theirs = criterion.stop(predictions=np.zeros(5))
        assert bool(stop_state(spec, StopFacts(iterations=iteration)).reason) == theirs


def test_no_criterion_never_stops() -> None:
    assert stop_state(StopSpec(criterion="none"), StopFacts({"none": [1.0] * 50}, 50)).reason is None


def test_a_limit_holds_beside_kappa() -> None:
    reason = stop_state(StopSpec(max_iterations=2), StopFacts({"kappa-average": [0.1]}, 2)).reason
    assert reason is not None
    assert "max_iterations" in reason


def test_a_criterion_that_is_not_installed_never_stops_and_says_so() -> None:
    state = stop_state(StopSpec(criterion="from-a-later-release"), StopFacts(iterations=10))
    assert state.reason is None
    assert "no stopping criterion 'from-a-later-release' on this machine" in str(state.trouble)


def test_a_budget_holds_beside_a_criterion_that_is_not_installed() -> None:
    state = stop_state(StopSpec(criterion="from-a-later-release", max_iterations=3), StopFacts(iterations=3))
    assert "max_iterations" in str(state.reason)
