"""What strategies may look at: computed when asked for, for the rows that are left."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from tornio.arrays import FloatMatrix, IntArray
from tornio.errors import InvalidInput
from tornio.models.head import LinearHead, softmax
from tornio.models.headed import DROPOUT, HeadedEncoder
from tornio.models.port import Embedded, Reading
from tornio.query import ArraySource, Candidates
from tornio.schemas.registry import EncoderUse

pytestmark = pytest.mark.unit

LABELS = ("a", "b", "c")


def candidates(source: ArraySource, rows: int, multi_label: bool = False) -> Candidates:
    return Candidates(source, np.arange(rows, dtype=np.int64), LABELS, multi_label)


class Counting(ArraySource):
    """Notes which rows were embedded."""

    def embeddings(self, rows: IntArray) -> FloatMatrix:
        asked.append(rows.tolist())
        return super().embeddings(rows)


asked: list[list[int]] = []


def test_nothing_is_computed_before_it_is_asked_for_and_then_once_for_the_rows_that_are_left() -> None:
    asked.clear()
    some = candidates(Counting(embedding_rows=np.eye(6, dtype=np.float32)), 6).take([4, 1])
    assert asked == []
    np.testing.assert_array_equal(some.embeddings, np.eye(6, dtype=np.float32)[[4, 1]])
    assert some.embeddings is some.embeddings
    assert asked == [[4, 1]]
    assert some.take([1]).rows.tolist() == [1]


def test_a_subsample_is_drawn_from_the_candidates_and_follows_its_seed() -> None:
    many = candidates(ArraySource(), 100)
    rows = many.subsample(10, seed=1)
    assert len(set(rows.tolist())) == 10
    assert sorted(rows.tolist()) == rows.tolist() == many.subsample(10, seed=1).tolist()
    assert rows.tolist() != many.subsample(10, seed=2).tolist()
    assert candidates(ArraySource(), 5).subsample(10, seed=1).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("multi_label", [False, True])
def test_gradient_embeddings_are_the_gradients_of_the_loss_at_the_predicted_label(multi_label: bool) -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(7, 5)).astype(np.float32)
    weight = torch.tensor(random.normal(size=(3, 5)).astype(np.float32), requires_grad=True)
    logits = torch.tensor(vectors) @ weight.T
    if multi_label:
        probabilities = torch.sigmoid(logits)
        targets = (probabilities >= 0.5).float()
    else:
        probabilities = torch.softmax(logits, dim=1)
        targets = functional.one_hot(logits.argmax(1), 3).float()
    expected = []
    for row in range(7):
        loss = (
            functional.binary_cross_entropy_with_logits(logits[row], targets[row], reduction="sum")
            if multi_label
            else functional.cross_entropy(logits[row], targets[row])
        )
        (gradient,) = torch.autograd.grad(loss, weight, retain_graph=True)
        expected.append(gradient.flatten().numpy())
    source = ArraySource(probabilities.detach().numpy(), vectors)
    found = candidates(source, 7, multi_label).gradient_embeddings
    np.testing.assert_allclose(found.dense(), np.array(expected), atol=1e-5)


def test_a_model_without_a_linear_head_has_no_gradient_embeddings() -> None:
    source = ArraySource(np.full((2, 3), 1 / 3, np.float32), np.eye(2, dtype=np.float32), linear=False)
    with pytest.raises(InvalidInput, match="linear head"):
        _ = candidates(source, 2).gradient_embeddings


class _Vectors:
    dimension = 40

    def embed(self, texts: object) -> Embedded:
        raise AssertionError("stochastic passes work on vectors")

    def read(self, texts: object) -> Reading:
        raise AssertionError("stochastic passes work on vectors")


def test_stochastic_passes_scatter_around_the_prediction() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(20, 40)).astype(np.float32)
    head = LinearHead(LABELS, False, (random.normal(size=(3, 40)) / 6).astype(np.float32), np.zeros(3, np.float32))
    use = EncoderUse(digest="a", pooling="mean", normalise=False, max_length=8)
    model = HeadedEncoder(head, use, _Vectors())
    passes = model.sample_vectors(vectors, 400, seed=3)
    assert passes.shape == (400, 20, 3)
    np.testing.assert_allclose(passes.sum(axis=2), 1.0, atol=1e-5)
    assert passes.std(axis=0).min() > 0
    np.testing.assert_allclose(passes.mean(axis=0), softmax(head.logits(vectors)), atol=0.03)
    np.testing.assert_array_equal(passes[:5], model.sample_vectors(vectors, 5, seed=3))
    assert 0 < DROPOUT < 1
