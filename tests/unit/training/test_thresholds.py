"""Thresholds: the best F1, found as trying all of them finds it, and shrunk where examples are few."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from tornio.arrays import BoolMatrix, DoubleArray
from tornio.models.decide import THRESHOLD, decide, decide_labels
from tornio.training.fewshot import fit_few_shot
from tornio.training.thresholds import PRIOR, choose_thresholds

pytestmark = pytest.mark.unit


def f1(probabilities: DoubleArray, truth: BoolMatrix, threshold: float) -> float:
    return float(f1_score(truth.ravel(), (probabilities >= threshold).ravel(), zero_division=0))


@settings(max_examples=50)
@given(st.integers(0, 10_000))
def test_no_threshold_is_better_than_the_common_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    p = random.integers(0, 20, (30, 3)) / 20  # with ties
    truth = random.random((30, 3)) < p
    truth[0, 0] = True
    common, _ = choose_thresholds(p, truth, np.ones_like(truth))
    best = max(f1(p, truth, threshold) for threshold in np.linspace(0, 1.01, 203))
    assert f1(p, truth, common) == pytest.approx(best)


def test_a_threshold_of_a_label_moves_with_its_examples() -> None:
    """A rare label stays near the common threshold; a frequent one comes near its own best."""
    random = np.random.default_rng(0)
    p = random.random((2000, 3))
    truth = p > np.array([0.5, 0.8, 0.999])
    common, each = choose_thresholds(p, truth, np.ones_like(truth))
    examples = truth.sum(axis=0)
    share = examples / (examples + PRIOR)
    np.testing.assert_allclose(each, share * [0.5, 0.8, 0.999] + (1 - share) * common, atol=0.01)


def test_only_what_counts_is_looked_at() -> None:
    p = np.array([[0.9, 0.2], [0.1, 0.8], [0.3, 0.1]])
    truth = np.array([[True, True], [False, False], [False, False]])
    counted = np.array([[True, False]] * 3)
    common, each = choose_thresholds(p, truth, counted)
    assert common == pytest.approx(0.6)
    assert each[1] == common


def test_nothing_true_leaves_the_usual_threshold() -> None:
    none = np.zeros((4, 2), dtype=bool)
    common, each = choose_thresholds(np.full((4, 2), 0.1), none, ~none)
    assert common == THRESHOLD
    assert each.tolist() == [THRESHOLD, THRESHOLD]


def test_a_head_with_few_labels_no_longer_leaves_most_texts_empty() -> None:
    random = np.random.default_rng(0)
    centres, names = random.normal(size=(6, 16)), tuple("abcdef")
    chosen = [sorted(random.choice(6, size=1, replace=False)) for _ in range(240)]
    X = np.array([centres[rows].sum(axis=0) + 3.0 * random.normal(size=16) for rows in chosen], dtype=np.float32)
    labels = [tuple(names[j] for j in rows) for rows in chosen]
    head = fit_few_shot(X[:120], labels[:120], names, True, seed=0)
    assert set(head.thresholds) == set(names)
    p = head.probabilities(head.logits(X[120:]))
    auto, half = decide_labels(p, names, True, head.thresholds), decide_labels(p, names, True)
    assert sum(not row for row in auto) < sum(not row for row in half)
    again = fit_few_shot(X[:120], labels[:120], names, True, seed=0)
    assert head.thresholds == again.thresholds


def test_one_label_per_text_has_no_thresholds() -> None:
    X = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    assert not fit_few_shot(X, [("a",), ("b",)] * 10, ("a", "b"), False, seed=0).thresholds


def test_too_few_examples_to_hold_any_out_have_no_thresholds() -> None:
    head = fit_few_shot(np.ones((1, 4), np.float32), [("a",)], ("a", "b"), True, seed=0)
    assert not head.thresholds


def test_each_label_is_decided_by_its_own_threshold() -> None:
    p = np.array([[0.2, 0.6], [0.1, 0.4]], dtype=np.float32)
    assert decide_labels(p, ("a", "b"), True, {"a": 0.15}) == [("a", "b"), ()]
    assert decide_labels(p, ("a", "b"), True, {"a": 0.15, "b": 0.4}) == [("a", "b"), ("b",) if p[1, 1] >= 0.4 else ()]
    assert decide(p, True, np.array([0.1, 0.9])).tolist() == [[True, False], [True, False]]
    assert decide_labels(p, ("a", "b"), False, {"a": 0.9, "b": 0.9}) == [("b",), ("b",)]
