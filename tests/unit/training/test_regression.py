"""Regularised regressions: the same coefficients as scikit-learn's, whatever the start and the coordinates."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression

from tornio.arrays import FloatMatrix, IntArray
from tornio.training.regression import Coefficients, regress, rotated

pytestmark = pytest.mark.unit


def examples(rows: int, dim: int, classes: int, seed: int = 0) -> tuple[FloatMatrix, IntArray]:
    """Points of overlapping classes, and the class of each."""
    random = np.random.default_rng(seed)
    y = np.arange(rows) % classes
    return (random.normal(size=(classes, dim))[y] * 0.5 + random.normal(size=(rows, dim))).astype(np.float32), y


def one_hot(y: IntArray) -> IntArray:
    return np.eye(int(y.max()) + 1, dtype=np.int64)[y]


def ones(rows: int) -> FloatMatrix:
    return np.ones(rows, dtype=np.float32)


@pytest.mark.parametrize("c", [0.1, 3.0, 30.0])
def test_several_classes_are_scikit_learns_regression(c: float) -> None:
    X, y = examples(60, 5, 3)
    found = regress(X, one_hot(y), ones(60), c, multi_label=False, tolerance=1e-6)
    model = LogisticRegression(C=c, max_iter=1000, tol=1e-6).fit(X, y)
    assert_allclose(found.weight, model.coef_, atol=2e-3)
    assert_allclose(found.bias - found.bias.mean(), model.intercept_ - model.intercept_.mean(), atol=2e-3)


def test_two_classes_are_scikit_learns_with_twice_the_c() -> None:
    """It penalises the one difference of two classes twice as much as we penalise the two halves of it."""
    X, y = examples(40, 5, 2)
    found = regress(X, one_hot(y), ones(40), 1.0, multi_label=False, tolerance=1e-6)
    model = LogisticRegression(C=2.0, max_iter=1000, tol=1e-6).fit(X, y)
    assert_allclose(found.weight[1] - found.weight[0], model.coef_[0], atol=2e-3)
    assert_allclose(found.bias[1] - found.bias[0], model.intercept_[0], atol=2e-3)


def test_several_labels_are_one_regression_each() -> None:
    X, y = examples(60, 5, 3)
    Y = one_hot(y)
    Y[::4, 0] = 1
    found = regress(X, Y, ones(60), 3.0, multi_label=True, tolerance=1e-6)
    for label, column in enumerate(Y.T):
        model = LogisticRegression(C=3.0, max_iter=1000, tol=1e-6).fit(X, column)
        assert_allclose(found.weight[label], model.coef_[0], atol=2e-3)
        assert_allclose(found.bias[label], model.intercept_[0], atol=2e-3)


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_weight_of_two_is_an_example_twice(multi_label: bool) -> None:
    X, y = examples(30, 4, 3)
    Y, weights = one_hot(y), np.where(np.arange(30) < 10, 2, 1).astype(np.float32)
    twice = np.concatenate([np.arange(30), np.arange(10)])
    weighted = regress(X, Y, weights, 1.0, multi_label, tolerance=1e-6)
    repeated = regress(X[twice], Y[twice], ones(40), 1.0, multi_label, tolerance=1e-6)
    assert_allclose(weighted.weight, repeated.weight, atol=2e-3)
    assert_allclose(weighted.bias, repeated.bias, atol=2e-3)
    assert np.abs(weighted.weight - regress(X, Y, ones(30), 1.0, multi_label).weight).max() > 1e-2


def test_another_start_leads_to_the_same_minimum() -> None:
    X, y = examples(60, 5, 3)
    cold = regress(X, one_hot(y), ones(60), 10.0, multi_label=False, tolerance=1e-6)
    elsewhere = Coefficients(np.full((3, 5), 2.0, dtype=np.float32), np.array([1, -1, 0], dtype=np.float32))
    warm = regress(X, one_hot(y), ones(60), 10.0, multi_label=False, start=elsewhere, tolerance=1e-6)
    assert_allclose(warm.logits(X) - warm.logits(X).mean(axis=1, keepdims=True), cold.logits(X), atol=1e-2)


def test_rotated_coordinates_lose_nothing() -> None:
    X, y = examples(12, 40, 3)
    turned, rotation = rotated(X)
    assert turned.shape == (12, 12)
    assert rotation is not None
    assert_allclose(turned @ rotation.T, X, atol=1e-5)
    plain = regress(X, one_hot(y), ones(12), 1.0, multi_label=False, tolerance=1e-6)
    inside = regress(turned, one_hot(y), ones(12), 1.0, multi_label=False, tolerance=1e-6)
    assert_allclose(inside.weight @ rotation.T, plain.weight, atol=1e-3)


def test_more_rows_than_dimensions_stay_as_they_are() -> None:
    X, _ = examples(12, 4, 3)
    same, rotation = rotated(X)
    assert same is X
    assert rotation is None
