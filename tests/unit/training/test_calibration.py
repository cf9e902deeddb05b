"""A temperature that makes probabilities true, from predictions for examples that nothing was learned from."""

from __future__ import annotations

import numpy as np
import pytest

from tornio.arrays import FloatMatrix, IntArray
from tornio.evaluation import calibration_error
from tornio.models.head import sigmoid, softmax
from tornio.training.calibration import OutOfSample

pytestmark = pytest.mark.unit


def drawn(logits: FloatMatrix, multi_label: bool, seed: int = 1) -> IntArray:
    """Labels that come as often as these logits say."""
    random = np.random.default_rng(seed)
    if multi_label:
        return (random.random(logits.shape) < sigmoid(logits)).astype(np.int64)
    chosen = (softmax(logits).cumsum(axis=1) < random.random((len(logits), 1))).sum(axis=1)
    return np.asarray(np.eye(logits.shape[1], dtype=np.int64)[np.minimum(chosen, logits.shape[1] - 1)])


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_it_finds_how_much_too_sure_a_model_is(multi_label: bool, temperature: float) -> None:
    true = np.random.default_rng(0).normal(scale=2, size=(4000, 4)).astype(np.float32)
    Y = drawn(true, multi_label)
    counts = np.ones(Y.shape, dtype=bool) if multi_label else Y == 1
    said = true * np.float32(temperature)
    loss, found = OutOfSample(said, Y, counts, multi_label).temperature()
    assert found == pytest.approx(temperature, rel=0.1)
    assert loss > 0
    probabilities = (sigmoid if multi_label else softmax)(said / np.float32(found))
    assert calibration_error(probabilities, Y == 1, multi_label) < 0.04


def test_few_right_answers_do_not_make_it_infinitely_sure() -> None:
    Y = np.eye(2, dtype=np.int64)[[0, 1, 0, 1]]
    logits = np.where(Y == 1, 1.0, -1.0).astype(np.float32)
    _, temperature = OutOfSample(logits, Y, Y == 1, False).temperature()
    assert softmax(logits / np.float32(temperature)).max() == pytest.approx(0.9, abs=0.01), "4.5 of 5 are right"


def test_what_does_not_count_changes_nothing() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(40, 3)).astype(np.float32)
    Y = drawn(logits, True)
    counts = np.ones(Y.shape, dtype=bool)
    counts[:, 2] = False
    other = logits.copy()
    other[:, 2] = 50.0
    first, second = (OutOfSample(one, Y, counts, True) for one in (logits, other))
    assert first.temperature() == second.temperature()
    assert OutOfSample(logits, Y, counts, True).thresholds(1.0, ("a", "b", "c")).keys() == {"a", "b", "c"}


def test_one_label_per_text_has_no_thresholds() -> None:
    Y = np.eye(2, dtype=np.int64)
    assert OutOfSample(Y.astype(np.float32), Y, Y == 1, False).thresholds(1.0, ("a", "b")) == {}
