"""Stopping criteria stop where small-text's do on the same predictions."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import small_text
from hypothesis import given, settings
from hypothesis import strategies as st
from small_text.stopping_criteria.base import StoppingCriterion
from small_text.stopping_criteria.kappa import KappaAverage

from tornio.spec import StopSpec
from tornio.stopping import CRITERIA, StopPredictions, cohen_kappa, kappa_average, stop_state

pytestmark = pytest.mark.unit


def stabilising(seed: int, rounds: int, classes: int, constant_from: int) -> list[np.ndarray]:
    """Predictions of a model that changes less and less, and from some round on not at all."""
    random = np.random.default_rng(seed)
    predictions = [random.integers(0, classes, 60)]
    for i in range(1, rounds):
        changed = random.random(60) < (0.0 if i >= constant_from else 0.5 / i)
        predictions.append(np.where(changed, random.integers(0, classes, 60), predictions[-1]))
    return predictions


def stop_predictions(classes: np.ndarray) -> StopPredictions:
    names = tuple(str(label) for label in range(classes.max() + 1))
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
        if stop_state(spec, signals, iterations=i + 1).reason:
            ours = i
            break
    assert ours == theirs


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
        assert bool(stop_state(spec, [1.0] * (iteration - 1), iteration).reason) == theirs


def test_no_criterion_never_stops() -> None:
    assert stop_state(StopSpec(criterion="none"), [1.0] * 50, 50).reason is None


def test_a_limit_holds_beside_kappa() -> None:
    reason = stop_state(StopSpec(max_iterations=2), [0.1], 2).reason
    assert reason is not None
    assert "max_iterations" in reason


def test_a_criterion_that_is_not_installed_never_stops_and_says_so() -> None:
    state = stop_state(StopSpec(criterion="from-a-later-release"), [0.0] * 10, 10)
    assert state.reason is None
    assert "no stopping criterion 'from-a-later-release' on this machine" in str(state.trouble)


def test_a_budget_holds_beside_a_criterion_that_is_not_installed() -> None:
    state = stop_state(StopSpec(criterion="from-a-later-release", max_iterations=3), [], 3)
    assert "max_iterations" in str(state.reason)
