"""Fitting a head: deterministic, sure of every class that has an example, silent on those that have none."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tornio.arrays import FloatMatrix
from tornio.errors import InvalidInput
from tornio.models.head import softmax
from tornio.training.fewshot import DEFAULT_C, LEAST_C, MOST_C, START_C, STEP_C, fit_few_shot

pytestmark = pytest.mark.unit

NAMES = ("ant", "bee", "cat", "dog")
Labels = list[tuple[str, ...]]


def clusters(counts: list[int], noise: float = 0.05, seed: int = 0, scale: float = 1.0) -> tuple[FloatMatrix, Labels]:
    """Noisy points around a centre for each class, as many as asked of each."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(len(NAMES), 16))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    rows = [j for j, count in enumerate(counts) for _ in range(count)]
    points = centres[rows] + noise * random.normal(size=(len(rows), 16))
    return (scale * points).astype(np.float32), [(NAMES[j],) for j in rows]


def accuracy(head_labels: tuple[str, ...], logits: FloatMatrix, truth: Labels) -> float:
    return float(np.mean([head_labels[a] == t for a, (t,) in zip(logits.argmax(axis=1), truth, strict=True)]))


@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_it_learns_whatever_the_length_of_the_vectors(scale: float) -> None:
    head = fit_few_shot(*clusters([10, 10, 10, 10], scale=scale), NAMES, False, seed=0)
    X, truth = clusters([20, 20, 20, 20], seed=1, scale=scale)
    assert accuracy(head.labels, head.logits(X), truth) > 0.95
    assert head.weight.dtype == head.bias.dtype == np.float32


def test_the_same_input_makes_the_same_head() -> None:
    X, labels = clusters([7, 5, 9, 3], noise=0.4)
    first, second = (fit_few_shot(X, labels, NAMES, False, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.weight, second.weight)
    np.testing.assert_array_equal(first.bias, second.bias)
    assert first.metrics == second.metrics


def test_a_class_without_an_example_has_a_column_and_is_not_predicted() -> None:
    X, labels = clusters([5, 0, 5, 0])
    head = fit_few_shot(X, labels, NAMES, False, seed=0)
    probabilities = head.probabilities(head.logits(X))
    assert probabilities.shape == (10, 4)
    assert probabilities[:, [1, 3]].max() < 1e-6
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-6)
    assert accuracy(head.labels, head.logits(X), labels) == 1.0


@pytest.mark.parametrize("counts", [[1, 1, 0, 0], [1, 1, 1, 1], [6, 1, 0, 0], [30, 1, 1, 0]])
def test_one_example_of_a_class_is_enough(counts: list[int]) -> None:
    X, labels = clusters(counts)
    head = fit_few_shot(X, labels, NAMES, False, seed=0)
    assert accuracy(head.labels, head.logits(X), labels) == 1.0
    assert LEAST_C <= head.metrics["c"] <= MOST_C


def test_without_anything_to_validate_on_c_is_the_default() -> None:
    head = fit_few_shot(*clusters([1, 1, 0, 0]), NAMES, False, seed=0)
    assert head.metrics["c"] == DEFAULT_C
    assert "cv_log_loss" not in head.metrics


def test_noise_asks_for_a_stronger_penalty() -> None:
    clear = fit_few_shot(*clusters([20, 20, 20, 20], noise=0.02), NAMES, False, seed=0)
    random = np.random.default_rng(0)
    X = random.normal(size=(80, 16)).astype(np.float32)
    noisy = fit_few_shot(X, [(NAMES[i],) for i in random.integers(0, 4, 80)], NAMES, False, seed=0)
    assert noisy.metrics["c"] < clear.metrics["c"]


@pytest.mark.parametrize(("counts", "factor"), [([12, 6, 9, 3], 1), ([8, 12, 0, 0], 2)])
def test_it_is_scikit_learns_regression_at_the_chosen_strength_and_temperature(counts: list[int], factor: int) -> None:
    """With two classes, scikit-learn's C is twice ours; see ``test_regression``."""
    X, labels = clusters(counts, noise=0.3)
    names = [name for name, count in zip(NAMES, counts, strict=True) if count]
    head = fit_few_shot(X, labels, names, False, seed=0)
    scale = np.sqrt((X**2).sum(axis=1).mean())
    model = LogisticRegression(C=factor * head.metrics["c"], class_weight="balanced", max_iter=1000)
    logits = model.fit(X / scale, [names.index(label) for (label,) in labels]).decision_function(X / scale)
    if factor == 2:
        logits = np.column_stack([-logits, logits]) / 2
    expected = softmax((logits / head.metrics["temperature"]).astype(np.float32))
    np.testing.assert_allclose(head.probabilities(head.logits(X)), expected, atol=5e-3)


def test_probabilities_say_how_often_they_are_right() -> None:
    """Many narrow classes make plain heads far too unsure, and mislabelled examples far too sure."""
    random = np.random.default_rng(5)
    X, labels = clusters([150, 150, 150, 150], noise=0.25)
    wrong = random.random(600) < 0.2
    given = [(NAMES[random.integers(4)],) if swap else label for swap, label in zip(wrong, labels, strict=True)]
    head = fit_few_shot(X[::2], given[::2], NAMES, False, seed=0)
    probabilities = head.probabilities(head.logits(X[1::2]))
    right = [NAMES[column] == label for column, (label,) in zip(probabilities.argmax(axis=1), given[1::2], strict=True)]
    assert abs(probabilities.max(axis=1).mean() - np.mean(right)) < 0.05


def test_the_search_goes_on_where_the_first_steps_get_better() -> None:
    X, labels = clusters([20, 20, 20, 20], noise=0.02)
    flipped = np.random.default_rng(1).normal(size=(80, 16)).astype(np.float32)
    assert fit_few_shot(X, labels, NAMES, False, seed=0).metrics["cv_log_loss"] < 0.1
    assert fit_few_shot(flipped, labels, NAMES, False, seed=0).metrics["c"] < START_C / STEP_C


def test_several_labels_are_learnt_each_for_itself() -> None:
    X, single = clusters([12, 12, 12, 0])
    labels = [(*label, "dog") if label == ("bee",) else label for label in single]
    labels[0] = ()  # a text may have none
    head = fit_few_shot(X, labels, NAMES, True, seed=0)
    likely = head.probabilities(head.logits(X)) > 0.5
    np.testing.assert_array_equal(likely[12:24], [[False, True, False, True]] * 12)
    np.testing.assert_array_equal(likely[24:], [[False, False, True, False]] * 12)


def test_several_labels_where_one_is_always_and_one_never_true() -> None:
    X, single = clusters([6, 6, 0, 0])
    head = fit_few_shot(X, [(*label, "cat") for label in single], NAMES, True, seed=0)
    probabilities = head.probabilities(head.logits(X))
    assert probabilities[:, 2].min() > 1 - 1e-6
    assert probabilities[:, 3].max() < 1e-6


@pytest.mark.parametrize(
    ("counts", "labels", "reason"),
    [
        ([0, 0, 0, 0], [], "no training label yet"),
        ([3, 0, 0, 0], None, "at least one other class"),
        ([1, 1, 0, 0], [("ant",), ("emu",)], "'emu' is not one of"),
        ([1, 1, 0, 0], [("ant", "bee"), ("bee",)], "exactly one"),
    ],
)
def test_what_cannot_be_learnt_from_says_why(counts: list[int], labels: Labels | None, reason: str) -> None:
    X, made = clusters(counts)
    with pytest.raises(InvalidInput, match=reason):
        fit_few_shot(X, made if labels is None else labels, NAMES, False, seed=0)


def test_vectors_that_are_not_numbers_are_refused() -> None:
    X, labels = clusters([2, 2, 0, 0])
    X[0, 0] = np.nan
    with pytest.raises(InvalidInput, match="not all finite"):
        fit_few_shot(X, labels, NAMES, False, seed=0)
