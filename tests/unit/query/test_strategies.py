"""Query strategies choose what small-text's choose on the same probabilities."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import small_text
from hypothesis import given, settings
from hypothesis import strategies as st

from tornio.arrays import FloatMatrix
from tornio.query import uncertainty

pytestmark = pytest.mark.unit

PEERS = {
    "least-confidence": small_text.LeastConfidence,
    "breaking-ties": small_text.BreakingTies,
    "prediction-entropy": small_text.PredictionEntropy,
}


def drawn(rows: int, labels: int, seed: int) -> FloatMatrix:
    return np.random.default_rng(seed).dirichlet(np.full(labels, 0.5), rows).astype(np.float32)


@pytest.mark.parametrize("strategy", PEERS)
@settings(max_examples=25)
@given(rows=st.integers(3, 200), labels=st.integers(2, 12), seed=st.integers(0, 999), share=st.floats(0.05, 0.9))
def test_the_choice_is_small_texts(strategy: str, rows: int, labels: int, seed: int, share: float) -> None:
    probabilities, n = drawn(rows, labels, seed), max(1, int(share * rows))
    classifier = SimpleNamespace(predict_proba=lambda dataset: dataset)
    theirs = PEERS[strategy]().query(classifier, probabilities, np.arange(rows), np.array([]), np.array([]), n=n)
    ours = uncertainty(strategy, probabilities, False, seed=0).order[:n]
    assert set(ours.tolist()) == set(theirs.tolist())


@pytest.mark.parametrize("strategy", [*PEERS, "random"])
@pytest.mark.parametrize("multi_label", [False, True])
@settings(max_examples=25)
@given(rows=st.integers(0, 50), labels=st.integers(2, 8), seed=st.integers(0, 999))
def test_what_is_shown_lies_in_the_unit_interval(
    strategy: str, multi_label: bool, rows: int, labels: int, seed: int
) -> None:
    found = uncertainty(strategy, drawn(rows, labels, seed), multi_label, seed)
    assert found.rank.shape == found.shown.shape == (rows,)
    assert ((found.shown >= 0) & (found.shown <= 1)).all()


@pytest.mark.parametrize("strategy", PEERS)
def test_extremes(strategy: str) -> None:
    """Certainty shows 0 and is asked last, a uniform distribution shows 1 and is asked first."""
    probabilities = np.array([[1, 0, 0, 0], [0.25] * 4, [0.7, 0.1, 0.1, 0.1]], dtype=np.float32)
    found = uncertainty(strategy, probabilities, False, seed=0)
    assert found.order.tolist() == [1, 2, 0]
    np.testing.assert_allclose(found.shown[:2], [0, 1], atol=1e-6)


@pytest.mark.parametrize("strategy", PEERS)
def test_several_labels_each_are_a_question_of_yes_or_no(strategy: str) -> None:
    probabilities = np.array([[0.99, 0.98, 0.01], [0.5, 0.5, 0.5], [0.0, 1.0, 0.0]], dtype=np.float32)
    found = uncertainty(strategy, probabilities, True, seed=0)
    assert found.order.tolist() == [1, 0, 2]
    np.testing.assert_allclose(found.shown[1:], [1, 0], atol=1e-6)


def test_one_unsure_label_of_many_is_enough_for_breaking_ties() -> None:
    sure, unsure = np.full(20, 0.01), np.full(20, 0.01)
    unsure[7] = 0.5
    found = uncertainty("breaking-ties", np.array([sure, unsure], dtype=np.float32), True, seed=0)
    np.testing.assert_allclose(found.shown, [0.02, 1.0], atol=1e-6)


def test_of_equals_the_first_is_asked() -> None:
    same = np.full((5, 3), 1 / 3, dtype=np.float32)
    assert uncertainty("breaking-ties", same, False, seed=0).order.tolist() == [0, 1, 2, 3, 4]


def test_random_follows_its_seed_and_nothing_else() -> None:
    first = uncertainty("random", drawn(100, 3, 0), False, seed=1).order
    assert first.tolist() == uncertainty("random", drawn(100, 3, 7), False, seed=1).order.tolist()
    assert first.tolist() != uncertainty("random", drawn(100, 3, 0), False, seed=2).order.tolist()


def test_an_unknown_strategy_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="breaking-ties"):
        uncertainty("guess", drawn(3, 3, 0), False, seed=0)
