"""A committee of heads: they agree where the labels say much, and differ where they say little."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.training.test_fewshot import NAMES, clusters
from tornio.arrays import FloatMatrix
from tornio.models.head import LinearHead
from tornio.training.committee import fit_committee
from tornio.training.fewshot import fit_few_shot

pytestmark = pytest.mark.unit


def test_the_same_seed_makes_the_same_heads_and_each_differs() -> None:
    X, labels = clusters([4, 4, 4, 4], noise=0.3)
    first, second = (fit_committee(X, labels, NAMES, False, 4, seed=1) for _ in range(2))
    other = fit_committee(X, labels, NAMES, False, 4, seed=2)
    assert [head.weight.tolist() for head in first] == [head.weight.tolist() for head in second]
    assert len({head.weight.tobytes() for head in [*first, *other]}) == 8
    assert {head.labels for head in first} == {NAMES}


def votes(heads: list[LinearHead], X: FloatMatrix) -> FloatMatrix:
    return np.stack([head.probabilities(head.logits(X)) for head in heads])


def test_they_scatter_around_the_head_of_equal_weights_and_more_so_far_from_the_labels() -> None:
    X, labels = clusters([6, 6, 6, 6], noise=0.15)
    heads = fit_committee(X, labels, NAMES, False, 30, seed=0)
    near = clusters([10, 10, 10, 10], noise=0.15, seed=1)[0]
    between = ((near[:10] + near[10:20]) / 2).astype(np.float32)
    single = fit_few_shot(X, labels, NAMES, False, seed=0)
    mean = votes(heads, near).mean(axis=0)
    assert np.abs(mean - single.probabilities(single.logits(near))).mean() < 0.1
    assert votes(heads, between).std(axis=0).mean() > votes(heads, near).std(axis=0).mean()


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_label_without_an_example_is_predicted_by_none(multi_label: bool) -> None:
    X, labels = clusters([3, 0, 1, 0])
    for probabilities in votes(fit_committee(X, labels, NAMES, multi_label, 3, seed=0), X):
        assert probabilities[:, [1, 3]].max() < 1e-6
