"""Which texts a student learns from: BALD against the textbook's sums, and the same number of each class."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tornio.arrays import DoubleArray
from tornio.training.uncertainty import Preference, Votes, choose

pytestmark = pytest.mark.unit


def passes(count: int, texts: int, classes: int, seed: int, sharpness: float = 2.0) -> DoubleArray:
    logits = np.random.default_rng(seed).normal(size=(count, texts, classes)) * sharpness
    values = np.exp(logits)
    return np.asarray(values / values.sum(axis=2, keepdims=True))


def test_bald_is_what_the_sums_of_the_paper_say() -> None:
    drawn = passes(7, 5, 3, seed=0)
    votes = Votes.of(drawn)
    for text in range(5):
        mean = [sum(drawn[t][text][c] for t in range(7)) / 7 for c in range(3)]
        entropy = -sum(p * np.log(p) for p in mean)
        expected = -sum(drawn[t][text][c] * np.log(drawn[t][text][c]) for t in range(7) for c in range(3)) / 7
        said = int(np.argmax(mean))
        variance = sum((drawn[t][text][said] - mean[said]) ** 2 for t in range(7)) / 7
        assert votes.information[text] == pytest.approx(entropy - expected, abs=1e-8)
        assert votes.classes[text] == said
        assert votes.variance[text] == pytest.approx(variance)
        assert votes.weights(0.1)[text] == pytest.approx(-0.1 * np.log(variance), rel=1e-5)


def test_passes_that_agree_carry_no_information_and_count_most() -> None:
    one = passes(1, 4, 3, seed=1)
    same, other = Votes.of(np.repeat(one, 5, axis=0)), Votes.of(passes(5, 4, 3, seed=2))
    np.testing.assert_allclose(same.information, 0.0, atol=1e-9)
    assert same.weights(0.1).min() > other.weights(0.1).max() > 0


def test_sure_passes_that_contradict_each_other_carry_the_most() -> None:
    contradicting = np.eye(3)[[[0], [1], [2]]]
    assert Votes.of(contradicting).information[0] == pytest.approx(np.log(3))


def test_a_table_has_all_that_the_votes_are() -> None:
    votes = Votes.of(passes(3, 4, 5, seed=3))
    again = Votes.from_table(votes.table())
    for name in ("mean", "information", "variance"):
        np.testing.assert_array_equal(getattr(again, name), getattr(votes, name))


@settings(deadline=None)
@given(
    texts=st.integers(1, 60),
    classes=st.integers(2, 6),
    count=st.integers(1, 80),
    prefer=st.sampled_from(["easy", "hard"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_each_class_has_the_same_number_or_all_its_texts(
    texts: int, classes: int, count: int, prefer: Preference, seed: int
) -> None:
    votes = Votes.of(passes(3, texts, classes, seed % 1000))
    rows = choose(votes, count, prefer, seed)
    assert len(set(rows.tolist())) == len(rows)
    there = np.bincount(votes.classes, minlength=classes)
    wanted = np.minimum(there, max(1, count // classes))
    np.testing.assert_array_equal(np.bincount(votes.classes[rows], minlength=classes), wanted)
    np.testing.assert_array_equal(rows, choose(votes, count, prefer, seed))


@pytest.mark.parametrize(("prefer", "sign"), [("easy", -1), ("hard", 1)])
def test_what_is_preferred_is_drawn_more_often(prefer: Preference, sign: int) -> None:
    """One text about which the passes contradict each other, and one about which they agree, for each of 300 seeds."""
    both = np.eye(2)[[[0, 0], [0, 0], [1, 0]]]
    votes = Votes.of(both)
    assert votes.classes.tolist() == [0, 0]
    unsure = [0 in choose(votes, 2, prefer, seed) for seed in range(300)]
    chances = {"easy": (1 - votes.information[0]) / (2 - votes.information[0]), "hard": 1.0}
    assert np.mean(unsure) == pytest.approx(chances[prefer], abs=0.12)
