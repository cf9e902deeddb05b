"""Measures of label quality: cleanlab's numbers, and sane ones where cleanlab's formulas end."""

from __future__ import annotations

import cleanlab.multilabel_classification as several
import numpy as np
import pytest
from cleanlab.internal.label_quality_utils import get_normalized_entropy
from cleanlab.rank import get_label_quality_scores
from hypothesis import given, settings
from hypothesis import strategies as st

from tornio.arrays import FloatMatrix
from tornio.errors import InvalidInput
from tornio.scoring.measures import LEAST, Measures, given_matrix, measure

pytestmark = pytest.mark.unit

NAMES = ("ant", "bee", "cat", "dog")
METHODS = {
    "self_confidence": "given_probability",
    "normalized_margin": "normalized_margin",
    "confidence_weighted_entropy": "confidence_weighted_entropy",
}


def softmaxed(rows: int, labels: int, seed: int, sharp: float) -> FloatMatrix:
    logits = sharp * np.random.default_rng(seed).normal(size=(rows, labels))
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), dtype=np.float32)


def one_each(rows: int, labels: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    chosen = np.random.default_rng(seed).integers(labels, size=rows)
    chosen[:labels] = np.arange(labels)[:rows]
    return chosen


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 12), st.integers(10, 60), st.integers(0, 2**20), st.sampled_from([0.1, 1.0, 4.0, 12.0]))
def test_single_label_equals_cleanlab(labels: int, rows: int, seed: int, sharp: float) -> None:
    p, chosen = softmaxed(max(rows, labels), labels, seed, sharp), one_each(max(rows, labels), labels, seed)
    ours = measure(p, np.eye(labels, dtype=bool)[chosen], multi_label=False)
    exact = p.astype(np.float64)  # so that cleanlab computes in float64, as we do
    for method, field in METHODS.items():
        theirs = get_label_quality_scores(chosen, exact, method=method)
        np.testing.assert_allclose(getattr(ours, field), theirs, rtol=2e-6, atol=2e-7, err_msg=method)
    np.testing.assert_allclose(ours.entropy, get_normalized_entropy(exact), rtol=2e-6, atol=1e-7)
    np.testing.assert_array_equal(ours.predicted.argmax(axis=1), p.argmax(axis=1))
    assert (ours.predicted.sum(axis=1) == 1).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 8), st.integers(10, 40), st.integers(0, 2**20))
def test_several_labels_equal_cleanlab_per_label_and_per_row(labels: int, rows: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    p = random.uniform(size=(rows, labels)).astype(np.float32)
    on = random.uniform(size=(rows, labels)) < 0.4
    on[0], on[1] = True, False
    ours = measure(p, on, multi_label=True)
    lists, exact = [list(np.flatnonzero(row)) for row in on], p.astype(np.float64)
    for method, field in METHODS.items():
        theirs = several.get_label_quality_scores(lists, exact, method=method)
        np.testing.assert_allclose(getattr(ours, field), theirs, rtol=2e-6, atol=2e-7, err_msg=method)
    per_label = several.rank.get_label_quality_scores_per_class(lists, exact)
    np.testing.assert_allclose(ours.label_probability, per_label, rtol=2e-6)
    np.testing.assert_array_equal(ours.predicted, p >= 0.5)


def test_what_is_kept_is_float32_and_bool() -> None:
    found = measure(softmaxed(6, 4, 0, 1.0), np.eye(4, dtype=bool)[[0, 1, 2, 3, 0, 1]], multi_label=False)
    assert len(found) == 6
    assert {f: getattr(found, f).dtype.name for f in Measures.__slots__} == {
        "predicted": "bool",
        "given_probability": "float32",
        "loss": "float32",
        "normalized_margin": "float32",
        "entropy": "float32",
        "confidence_weighted_entropy": "float32",
        "label_probability": "float32",
    }


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_probability_of_zero_has_a_finite_loss(multi_label: bool) -> None:
    p = np.array([[0.0, 1.0], [1.0, 0.0]], dtype=np.float32)
    found = measure(p, np.array([[True, False], [True, False]]), multi_label)
    np.testing.assert_allclose(found.loss, [-np.log(LEAST), 0.0], rtol=1e-6)
    assert all(np.isfinite(getattr(found, field)).all() for field in Measures.__slots__)


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_single_row_and_none_at_all(multi_label: bool) -> None:
    p, on = np.array([[0.25, 0.75]], dtype=np.float32), np.array([[False, True]])
    alone = measure(p, on, multi_label)
    np.testing.assert_allclose(alone.loss, [-np.log(0.75)], rtol=1e-6)
    assert len(measure(p[:0], on[:0], multi_label)) == 0
    np.testing.assert_array_equal(measure(p[[0, 0]], on[[0, 0]], multi_label).loss[:1], alone.loss)


def test_broken_probabilities_are_refused() -> None:
    on = np.eye(2, dtype=bool)
    with pytest.raises(InvalidInput, match=r"1 of 2 rows .* first is row 1"):
        measure(np.array([[0.5, 0.5], [np.nan, 0.5]], dtype=np.float32), on, False)
    with pytest.raises(InvalidInput, match="softmax, not logits"):
        measure(np.array([[0.5, 0.5], [-2.0, 3.0]], dtype=np.float32), on, False)


def test_given_labels_are_checked() -> None:
    assert given_matrix([("bee",), ("ant",)], NAMES, False).tolist() == [
        [False, True, False, False],
        [True] + [False] * 3,
    ]
    assert given_matrix([(), ("ant", "cat")], NAMES, True).sum(axis=1).tolist() == [0, 2]
    with pytest.raises(InvalidInput, match="row 1 has the label 'eel'"):
        given_matrix([("bee",), ("eel",)], NAMES, False)
    with pytest.raises(InvalidInput, match="row 0 has the labels"):
        given_matrix([("bee", "ant")], NAMES, False)
