"""Targets and weights of labelled texts."""

from __future__ import annotations

import numpy as np
import pytest

from tornio.errors import InvalidInput
from tornio.training.fewshot import fit_few_shot
from tornio.training.targets import Labelled, decided

pytestmark = pytest.mark.unit


def test_labels_become_hard_targets_of_weight_one() -> None:
    data = Labelled.of(["x", "y"], [("b",), ("a",)], ("a", "b", "c"), False)
    assert data.targets.tolist() == [[0, 1, 0], [1, 0, 0]]
    assert data.weights.tolist() == [1, 1]
    assert data.targets.dtype == data.weights.dtype == np.float32
    assert (data.record_ids, len(data)) == (("0", "1"), 2)
    with pytest.raises(InvalidInput, match="'d' is not one of the task's"):
        Labelled.of(["x"], [("d",)], ("a", "b"), False)


def test_soft_targets_are_decided_and_hard_ones_stay() -> None:
    soft = np.array([[0.4, 0.35, 0.25], [0.5, 0.5, 0.0]], dtype=np.float32)
    assert decided(soft, False).tolist() == [[1, 0, 0], [1, 0, 0]]
    assert decided(soft, True).tolist() == [[0, 0, 0], [1, 1, 0]]
    hard = np.eye(3, dtype=np.float32)
    assert decided(hard, False).tolist() == decided(hard, True).tolist() == hard.tolist()
    assert decided(np.zeros((0, 3), np.float32), False).shape == (0, 3)


def test_weights_reach_the_few_shot_head() -> None:
    random = np.random.default_rng(1)
    X = random.normal(size=(30, 4)).astype(np.float32)
    labels = [(("a", "b")[int(x[0] + random.normal() > 0)],) for x in X]
    plain = fit_few_shot(X, labels, ("a", "b"), False, 0)
    ones = fit_few_shot(X, labels, ("a", "b"), False, 0, np.ones(30, np.float32))
    np.testing.assert_array_equal(plain.weight, ones.weight)
    some = fit_few_shot(X, labels, ("a", "b"), False, 0, np.linspace(0.1, 3, 30, dtype=np.float32))
    assert np.abs(plain.weight - some.weight).max() > 1e-2
