"""CROWDLAB: cleanlab's numbers on the same votes and probabilities, and what holds for any input."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tornio.arrays import FloatMatrix, IntArray
from tornio.errors import InvalidInput
from tornio.labels.crowdlab import crowdlab

pytestmark = pytest.mark.unit
reference = pytest.importorskip("cleanlab.multiannotator", reason="cleanlab is no part of the light installation")


def drawn(seed: int, rows: int, annotators: int, labels: int, share: float) -> tuple[IntArray, FloatMatrix]:
    """Return votes that are right half of the time, at least one for each row and annotator, two for the first row,
    and probabilities of a classifier that is better than chance."""
    random = np.random.default_rng(seed)
    truth = random.integers(labels, size=rows)
    votes = np.where(random.random((rows, annotators)) < 0.5, truth[:, None], random.integers(labels, size=(rows, 1)))
    kept = random.random((rows, annotators)) < share
    kept[np.arange(rows), random.integers(annotators, size=rows)] = True
    kept[0] = True
    logits = random.normal(size=(rows, labels)) + 2 * np.eye(labels)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.where(kept, votes, -1), probabilities.astype(np.float32)


cases = st.builds(
    drawn, st.integers(0, 2**32), st.integers(1, 60), st.integers(2, 6), st.integers(2, 7), st.floats(0, 1)
)


@settings(max_examples=60, deadline=None)
@given(cases)
def test_equal_to_cleanlab(case: tuple[IntArray, FloatMatrix]) -> None:
    votes, probabilities = case
    found, model = crowdlab(votes, probabilities), probabilities.astype(np.float64)
    missing = np.where(votes < 0, np.nan, votes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where no two annotators agree
        theirs = reference.get_label_quality_multiannotator(
            missing, model, consensus_method="majority_vote", verbose=False, return_weights=True
        )
        quality = reference.get_label_quality_multiannotator(missing, model, verbose=False)["label_quality"]
    best = quality["consensus_label"]
    np.testing.assert_allclose(found.annotator_weights, theirs["annotator_weight"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.model_weight, theirs["model_weight"], rtol=1e-6)
    of_votes = np.take_along_axis(found.posterior, np.maximum(votes, 0), axis=1)
    np.testing.assert_allclose(
        np.where(votes < 0, np.nan, of_votes), theirs["detailed_label_quality"].to_numpy(), rtol=1e-6
    )
    rows = np.arange(len(votes))
    np.testing.assert_allclose(found.posterior[rows, found.labels], found.posterior[rows, best], rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(cases, st.integers(0, 2**32))
def test_the_order_of_rows_and_annotators_makes_no_difference(case: tuple[IntArray, FloatMatrix], seed: int) -> None:
    votes, probabilities = case
    random = np.random.default_rng(seed)
    rows, annotators = random.permutation(len(votes)), random.permutation(votes.shape[1])
    one, other = crowdlab(votes, probabilities), crowdlab(votes[rows][:, annotators], probabilities[rows])
    np.testing.assert_allclose(other.posterior, one.posterior[rows], rtol=1e-9)
    np.testing.assert_allclose(other.annotator_weights, one.annotator_weights[annotators], rtol=1e-9)
    np.testing.assert_allclose(one.posterior.sum(axis=1), 1, rtol=1e-6)


def test_one_who_guesses_is_outvoted_by_one_who_is_right() -> None:
    """Three annotators, of whom the last one guesses: where two disagree, the one who agrees with others wins."""
    random = np.random.default_rng(0)
    truth = random.integers(3, size=300)
    votes = np.stack([truth, truth, random.integers(3, size=300)], axis=1)
    votes[np.arange(300), random.integers(3, size=300)] = -1
    flat = np.full((300, 3), 1 / 3, dtype=np.float32)
    found = crowdlab(votes, flat)
    assert (found.labels == truth).mean() > 0.99
    assert found.annotator_weights[2] < 0.5 * found.annotator_weights[:2].min()
    assert found.model_weight == pytest.approx(1e-6 * np.sqrt(2))


def test_an_annotator_alone_has_the_mean_weight_of_the_others() -> None:
    votes = np.array([[0, 0, -1], [1, 1, -1], [0, 1, -1], [-1, -1, 2]])
    found = crowdlab(votes, np.full((4, 3), 1 / 3, dtype=np.float32))
    assert found.annotator_weights[2] == pytest.approx(found.annotator_weights[:2].mean())


@pytest.mark.parametrize(
    ("votes", "labels"), [([[0, -1], [-1, 1]], 2), ([[0, 0], [-1, -1]], 2), ([[0, 0]], 1), (np.empty((0, 2)), 2)]
)
def test_refuses_what_has_no_consensus(votes: list[list[int]], labels: int) -> None:
    given = np.array(votes, dtype=np.int64)
    with pytest.raises(InvalidInput, match="CROWDLAB needs two labels"):
        crowdlab(given, np.full((len(given), labels), 1 / labels, dtype=np.float32))
