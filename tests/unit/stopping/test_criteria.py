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

from tornio.evaluation import cohen_kappa
from tornio.spec import StopSpec
from tornio.stopping import kappa_average, stop_reason

pytestmark = pytest.mark.unit


def stabilising(seed: int, rounds: int, classes: int, constant_from: int) -> list[np.ndarray]:
    """Predictions of a model that changes less and less, and from some round on not at all."""
    random = np.random.default_rng(seed)
    predictions = [random.integers(0, classes, 60)]
    for i in range(1, rounds):
        changed = random.random(60) < (0.0 if i >= constant_from else 0.5 / i)
        predictions.append(np.where(changed, random.integers(0, classes, 60), predictions[-1]))
    return predictions


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
    names = [[str(label) for label in found] for found in predictions]
    signals: list[float] = []
    ours = None
    for i in range(1, len(names)):
        signals.append(cohen_kappa(names[i], names[i - 1]))
        if stop_reason(spec, signals, iterations=i + 1):
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
        assert bool(stop_reason(spec, [1.0] * (iteration - 1), iteration)) == theirs


def test_no_criterion_never_stops() -> None:
    assert stop_reason(StopSpec(criterion="none"), [1.0] * 50, 50) is None


def test_a_limit_holds_beside_kappa() -> None:
    reason = stop_reason(StopSpec(max_iterations=2), [0.1], 2)
    assert reason is not None
    assert "max_iterations" in reason
