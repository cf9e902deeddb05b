"""Query strategies choose what small-text's choose on the same probabilities."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import small_text
from hypothesis import given, settings
from hypothesis import strategies as st

from tornio.arrays import FloatMatrix, IntArray
from tornio.errors import InvalidSpec
from tornio.query import STRATEGIES, ArraySource, Candidates, Selection

pytestmark = pytest.mark.unit

PEERS = {
    "least-confidence": small_text.LeastConfidence,
    "breaking-ties": small_text.BreakingTies,
    "prediction-entropy": small_text.PredictionEntropy,
}


def select(strategy: str, probabilities: FloatMatrix, multi_label: bool, seed: int, n: int | None = None) -> Selection:
    """What the strategy picks of rows with these probabilities: all of them in its order, unless ``n`` is given."""
    labels = tuple(f"l{column}" for column in range(probabilities.shape[1]))
    rows = np.arange(len(probabilities), dtype=np.int64)
    candidates = Candidates(ArraySource(probabilities), rows, labels, multi_label)
    return STRATEGIES.get(strategy).select(candidates, len(rows) if n is None else n, seed)


def drawn(rows: int, labels: int, seed: int) -> FloatMatrix:
    return np.random.default_rng(seed).dirichlet(np.full(labels, 0.5), rows).astype(np.float32)


@pytest.mark.parametrize("strategy", PEERS)
@settings(max_examples=25)
@given(rows=st.integers(3, 200), labels=st.integers(2, 12), seed=st.integers(0, 999), share=st.floats(0.05, 0.9))
def test_the_choice_is_small_texts(strategy: str, rows: int, labels: int, seed: int, share: float) -> None:
    probabilities, n = drawn(rows, labels, seed), max(1, int(share * rows))
    classifier = SimpleNamespace(predict_proba=lambda dataset: dataset)
    theirs = PEERS[strategy]().query(classifier, probabilities, np.arange(rows), np.array([]), np.array([]), n=n)
    ours = select(strategy, probabilities, False, seed=0, n=n)
    assert set(ours.rows.tolist()) == set(theirs.tolist())


@pytest.mark.parametrize("strategy", [*PEERS, "random"])
@pytest.mark.parametrize("multi_label", [False, True])
@settings(max_examples=25)
@given(rows=st.integers(0, 50), labels=st.integers(2, 8), seed=st.integers(0, 999))
def test_what_is_shown_lies_in_the_unit_interval(
    strategy: str, multi_label: bool, rows: int, labels: int, seed: int
) -> None:
    picked = select(strategy, drawn(rows, labels, seed), multi_label, seed)
    assert picked.shown is not None
    assert sorted(picked.rows.tolist()) == list(range(rows))
    assert picked.shown.shape == (rows,)
    assert ((picked.shown >= 0) & (picked.shown <= 1)).all()


@pytest.mark.parametrize("strategy", PEERS)
def test_extremes(strategy: str) -> None:
    """Certainty shows 0 and is asked last, a uniform distribution shows 1 and is asked first."""
    probabilities = np.array([[1, 0, 0, 0], [0.25] * 4, [0.7, 0.1, 0.1, 0.1]], dtype=np.float32)
    picked = select(strategy, probabilities, False, seed=0)
    assert picked.shown is not None
    assert picked.rows.tolist() == [1, 2, 0]
    np.testing.assert_allclose(picked.shown[[2, 0]], [0, 1], atol=1e-6)


@pytest.mark.parametrize("strategy", PEERS)
def test_several_labels_each_are_a_question_of_yes_or_no(strategy: str) -> None:
    probabilities = np.array([[0.99, 0.98, 0.01], [0.5, 0.5, 0.5], [0.0, 1.0, 0.0]], dtype=np.float32)
    picked = select(strategy, probabilities, True, seed=0)
    assert picked.shown is not None
    assert picked.rows.tolist() == [1, 0, 2]
    np.testing.assert_allclose(picked.shown[[0, 2]], [1, 0], atol=1e-6)


def test_one_unsure_label_of_many_is_enough_for_breaking_ties() -> None:
    sure, unsure = np.full(20, 0.01), np.full(20, 0.01)
    unsure[7] = 0.5
    picked = select("breaking-ties", np.array([sure, unsure], dtype=np.float32), True, seed=0)
    assert picked.shown is not None
    assert picked.rows.tolist() == [1, 0]
    np.testing.assert_allclose(picked.shown, [1.0, 0.02], atol=1e-6)


def test_of_equals_the_first_is_asked() -> None:
    same = np.full((5, 3), 1 / 3, dtype=np.float32)
    assert select("breaking-ties", same, False, seed=0).rows.tolist() == [0, 1, 2, 3, 4]


def test_random_follows_its_seed_and_nothing_else() -> None:
    first = select("random", drawn(100, 3, 0), False, seed=1).rows
    assert first.tolist() == select("random", drawn(100, 3, 7), False, seed=1).rows.tolist()
    assert first.tolist() != select("random", drawn(100, 3, 0), False, seed=2).rows.tolist()


def test_an_unknown_strategy_names_those_there_are() -> None:
    with pytest.raises(InvalidSpec, match=r"loop.strategy: there is no query strategy 'guess'.*breaking-ties"):
        STRATEGIES.check("guess", "loop.strategy")


def test_random_looks_only_at_what_it_picks() -> None:
    """A pool of millions must not pass through the model to draw twenty texts."""
    asked: list[int] = []

    class Counting(ArraySource):
        def probabilities(self, rows: IntArray) -> FloatMatrix:
            asked.append(len(rows))
            return super().probabilities(rows)

    candidates = Candidates(Counting(drawn(500, 3, 0)), np.arange(500, dtype=np.int64), ("a", "b", "c"), False)
    STRATEGIES.get("random").select(candidates, 20, 0)
    assert asked == [20]
