"""Strategies choose what small-text's choose on the same arrays, or what the papers' formulas say, written plainly.

Where a draw decides, both get the same seed if they draw in the same way. Otherwise the chances are compared.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import small_text
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.stats import entropy as scipy_entropy
from small_text.query_strategies import coresets as their_coresets
from small_text.query_strategies.strategies import SEALS
from small_text.query_strategies.subsampling import AnchorSubsampling
from torch.nn import functional

from tests.unit.query.pools import embeddings, labelled, probabilities, select, source
from tornio.arrays import FloatMatrix, IntArray
from tornio.query import ArraySource, GradientEmbeddings, Labelled
from tornio.query.strategies.committees import mutual_information, vote_entropy
from tornio.query.strategies.coresets import farthest_first, lightweight_chances
from tornio.query.strategies.covering import cover, pure_radius
from tornio.query.strategies.gradients import expected_length, seeded
from tornio.query.strategies.near_labels import anchors_of, nearest_to_anchors
from tornio.query.strategies.several_labels import borda, cardinality_gap, separation, vector_distance
from tornio.query.strategies.wrapping import balanced, parts_of
from tornio.query.vectors import neighbours, unit

pytestmark = pytest.mark.unit


def theirs(strategy: Any, pool: ArraySource, n: int, seed: int = 0, **classifier: Any) -> list[int]:
    """What a strategy of small-text picks. Labelled texts stand behind the candidates, as in its data sets."""
    known = pool.labelled()
    assert pool.probability_rows is not None
    assert pool.embedding_rows is not None
    assert known.probabilities is not None
    p = np.concatenate([pool.probability_rows, known.probabilities])
    vectors = np.concatenate([pool.embedding_rows, known.embeddings])
    rows = len(pool.probability_rows)
    model = SimpleNamespace(
        predict_proba=lambda dataset, **_: p[dataset],
        embed=lambda dataset, return_proba=False, **_: (vectors[dataset], p[dataset]) if return_proba else vectors,
        **classifier,
    )
    np.random.seed(seed)
    unlabelled, others = np.arange(rows), np.arange(rows, len(p))
    y = known.labels.argmax(axis=1) if not classifier.get("several") else csr_matrix(known.labels)
    picked = strategy.query(model, np.arange(len(p)), unlabelled, others, y, n=n)
    return [int(row) for row in picked]


def a_pool(rows: int, labels: int, known: int, seed: int) -> ArraySource:
    return source(probabilities(rows, labels, seed), embeddings(rows, seed), labelled(known, labels, seed))


SIZES = {"rows": st.integers(30, 90), "n": st.integers(1, 20), "known": st.integers(1, 12), "seed": st.integers(0, 99)}


@settings(max_examples=20)
@given(**SIZES)
def test_greedy_coreset_is_small_texts(rows: int, n: int, known: int, seed: int) -> None:
    pool = a_pool(rows, 3, known, seed)
    with pytest.warns(UserWarning, match="Default distance metric"):
        strategy = small_text.GreedyCoreset()
    assert select("greedy-coreset", pool, n).rows.tolist() == theirs(strategy, pool, n)


@settings(max_examples=20)
@given(rows=st.integers(10, 90), seed=st.integers(0, 99))
def test_the_chances_of_lightweight_coreset_are_small_texts(rows: int, seed: int) -> None:
    given_chances: list[Any] = []

    def choice(*_: Any, p: Any, **__: Any) -> Any:
        given_chances.append(p)
        return np.arange(3)

    vectors = embeddings(rows, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np.random, "choice", choice)
        normed = unit(vectors)
        mean = vectors.mean(axis=0)
        their_coresets.lightweight_coreset(normed, mean / np.linalg.norm(mean), 3, normalized=True)
    np.testing.assert_allclose(lightweight_chances(vectors), given_chances[0], atol=1e-6)


@settings(max_examples=15)
@given(**SIZES)
def test_embedding_kmeans_is_small_texts(rows: int, n: int, known: int, seed: int) -> None:
    """Both cluster with the same draws: numpy's global ones, from the same seed."""
    pool = a_pool(rows, 3, known, seed)
    assert set(select("embedding-kmeans", pool, n, seed).rows.tolist()) == set(
        theirs(small_text.EmbeddingKMeans(), pool, n, seed)
    )


@settings(max_examples=15)
@given(**SIZES)
def test_contrastive_among_all_is_small_texts(rows: int, n: int, known: int, seed: int) -> None:
    pool = a_pool(rows, 3, known, seed)
    # small-text keeps n neighbours ready, of which it then asks for k
    peer = small_text.ContrastiveActiveLearning(k=min(5, n), pbar=None)
    ours = select("contrastive", pool, n, among="all", neighbours=min(5, n))
    assert set(ours.rows.tolist()) == set(theirs(peer, pool, n))


def test_contrastive_compares_with_labelled_neighbours() -> None:
    pool = a_pool(40, 3, 12, 0)
    known, p = pool.labelled(), pool.probability_rows
    assert p is not None
    assert known.probabilities is not None
    near = neighbours(unit(embeddings(40, 0)), unit(known.embeddings), 4)
    scores = [np.mean([scipy_entropy(known.probabilities[j], p[i]) for j in near[i]]) for i in range(40)]
    assert select("contrastive", pool, 6, neighbours=4).rows.tolist() == np.argsort(scores)[::-1][:6].tolist()


@settings(max_examples=20)
@given(**SIZES, labels=st.integers(2, 6))
def test_bald_by_dropout_is_small_texts(rows: int, n: int, known: int, seed: int, labels: int) -> None:
    votes = np.stack([probabilities(rows, labels, seed + i) for i in range(10)])
    pool = source(probabilities(rows, labels, seed), embeddings(rows, seed), labelled(known, labels, seed), votes)
    model = SimpleNamespace(predict_proba=lambda dataset, dropout_sampling: votes.transpose(1, 0, 2))
    peer = small_text.query_strategies.bayesian.BALD(dropout_samples=10)
    picked = peer.query(model, np.arange(rows), np.arange(rows), np.array([]), np.array([]), n=n)
    for kind in ("dropout", "committee"):
        ours = select("bald", pool, n, source=kind)
        if kind == "committee" and not pool.labelled().teaches:
            continue
        assert set(ours.rows.tolist()) == set(picked.tolist())


def test_query_by_committee_is_the_entropy_of_the_votes() -> None:
    votes = np.zeros((4, 3, 2), dtype=np.float32)
    votes[:, 0] = [0.9, 0.1]  # all agree
    votes[:, 1] = [[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]]
    votes[:, 2] = [[0.6, 0.4], [0.6, 0.4], [0.4, 0.6], [0.4, 0.6]]
    np.testing.assert_allclose(vote_entropy(votes, False), [0.0, scipy_entropy([0.75, 0.25]), np.log(2.0)], atol=1e-12)
    mean = votes.mean(axis=0)
    divergence = [np.mean([scipy_entropy(vote[i], mean[i]) for vote in votes]) for i in range(3)]
    np.testing.assert_allclose(mutual_information(votes, False), divergence, atol=1e-6)
    pool = source(votes.mean(axis=0), embeddings(3, 0), labelled(6, 2, 0), votes)
    assert select("query-by-committee", pool, 3, members=4).rows.tolist() == [2, 1, 0]
    assert select("query-by-committee", pool, 3, members=4, measure="divergence").rows[0] == 1


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_expected_gradient_length_is_that_of_the_loss(multi_label: bool) -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(5, 4)).astype(np.float32)
    extended = torch.tensor(np.concatenate([vectors, np.ones((5, 1), dtype=np.float32)], axis=1))
    weight = torch.tensor(random.normal(size=(3, 5)).astype(np.float32), requires_grad=True)
    logits = extended @ weight.T
    p = torch.sigmoid(logits) if multi_label else torch.softmax(logits, dim=1)

    def length(loss: torch.Tensor) -> float:
        return float(torch.autograd.grad(loss, weight, retain_graph=True)[0].norm())

    expected = []
    for row in range(5):
        total = 0.0
        for label in range(3):
            chance = p[row, label].item()
            if multi_label:
                for target in (0.0, 1.0):
                    loss = functional.binary_cross_entropy_with_logits(logits[row, label], torch.tensor(target))
                    total += (chance if target else 1 - chance) * length(loss)
            else:
                total += chance * length(functional.cross_entropy(logits[row], torch.tensor(label)))
        expected.append(total)
    np.testing.assert_allclose(expected_length(p.detach().numpy(), vectors, multi_label), expected, rtol=1e-4)


@settings(max_examples=20)
@given(rows=st.integers(3, 60), n=st.integers(1, 20), seed=st.integers(0, 99))
def test_badge_draws_as_its_authors_do(rows: int, n: int, seed: int) -> None:
    """The longest gradient first, then draws with the same chances: the same draws from the same seed."""
    p, vectors = probabilities(rows, 4, seed), embeddings(rows, seed)
    residuals = p - np.eye(4, dtype=np.float32)[p.argmax(axis=1)]
    gradients = (residuals[:, :, None] * vectors[:, None, :]).reshape(rows, -1).astype(np.float64)
    random = np.random.default_rng(seed)
    picked = [int((gradients**2).sum(axis=1).argmax())]
    while len(picked) < min(n, rows):
        distances = np.min([((gradients - gradients[row]) ** 2).sum(axis=1) for row in picked], axis=0)
        distances[picked] = 0.0
        picked.append(int(random.choice(rows, p=distances / distances.sum())))
    assert seeded(GradientEmbeddings(residuals, vectors), n, seed).tolist() == picked


def plain_typiclust(vectors: FloatMatrix, cluster: IntArray, candidates: int, n: int, k: int) -> list[int]:
    picked: list[int] = []
    for _ in range(n):
        members = {c: np.flatnonzero(cluster[:candidates] == c) for c in set(cluster.tolist())}
        open_members = {c: [int(r) for r in rows if r not in picked] for c, rows in members.items()}
        covered = {c: int((cluster[candidates:] == c).sum()) + len(members[c]) - len(open_members[c]) for c in members}
        best = min(
            (c for c in members if open_members[c]),
            key=lambda c: (len(open_members[c]) < 5, covered[c], -len(open_members[c]), c),
        )
        near = min(k, len(members[best]) - 1)

        def typicality(row: int, rows: IntArray = members[best], near: int = near) -> float:
            distances = np.sort(np.linalg.norm(vectors[rows] - vectors[row], axis=1))[1 : near + 1]
            return 1.0 if near < 1 else 1.0 / float(distances.mean())

        picked.append(max(open_members[best], key=typicality))
    return picked


@pytest.mark.parametrize("seed", range(5))
def test_typiclust_is_the_papers(seed: int) -> None:
    from tornio.query.strategies.clusters import clustered

    pool = a_pool(70, 3, 6, seed)
    vectors, known = unit(embeddings(70, seed)), unit(pool.labelled().embeddings)
    cluster, _ = clustered(np.concatenate([vectors, known]), 6 + 9, seed)
    expected = plain_typiclust(vectors.astype(np.float64), cluster, 70, 9, 4)
    assert select("typiclust", pool, 9, seed, neighbours=4).rows.tolist() == expected


@pytest.mark.parametrize("known", [0, 5])
@pytest.mark.parametrize("seed", range(5))
def test_prob_cover_is_the_papers(seed: int, known: int) -> None:
    """Its graph, written out: an edge to each text in the ball, and no edge to a text that is covered."""
    vectors, others = unit(embeddings(60, seed)), unit(labelled(known, 3, seed).embeddings)
    every = np.concatenate([vectors, others])
    edges = np.linalg.norm(every[:, None] - every[None], axis=2) <= 0.7
    edges[:, edges[60:].any(axis=0)] = False
    picked: list[int] = []
    while len(picked) < 12 and edges[:60].any():
        picked.append(int(edges[:60].sum(axis=1).argmax()))
        edges[:, edges[picked[-1]].copy()] = False
    assert len(picked) > 3
    assert cover(vectors, others, 0.7, len(picked)).tolist() == picked


def test_the_radius_of_prob_cover_is_the_largest_with_pure_balls() -> None:
    random = np.random.default_rng(0)
    centres = np.eye(8)[np.repeat(np.arange(4), 50)]
    vectors = unit((centres + 0.02 * random.normal(size=centres.shape)).astype(np.float32))
    radius = pure_radius(vectors, 4, 0.95, 0)
    distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    groups = np.repeat(np.arange(4), 50)
    other = distances[groups[:, None] != groups[None]].min()
    assert other - distances.max() / 20 <= radius < other + distances.max() / 20


def test_without_labels_the_farthest_from_the_mean_is_first() -> None:
    vectors = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.95, 0.05]], dtype=np.float32)
    assert farthest_first(unit(vectors), np.zeros((0, 2), np.float32), 2).tolist() == [2, 0]


class Exact:
    """An index of vectors with small-text's interface, exact."""

    def __init__(self, vectors: FloatMatrix) -> None:
        self._vectors = vectors

    def knn_query(self, asked: FloatMatrix, k: int) -> tuple[Any, Any]:
        distances = ((asked[:, None] - self._vectors[None]) ** 2).sum(axis=2)
        order = np.argsort(distances, axis=1)[:, :k]
        return order, np.take_along_axis(distances, order, axis=1)


@settings(max_examples=15)
@given(**SIZES)
def test_seals_offers_what_small_text_offers(rows: int, n: int, known: int, seed: int) -> None:
    vectors, anchors = unit(embeddings(rows, seed)), unit(labelled(known, 3, seed).embeddings)
    peer = SEALS.__new__(SEALS)  # its own constructor wants an index that is not installed
    peer.__dict__.update(k=7, nn=Exact(vectors), indices_unlabeled=set(range(rows)))
    peer.embeddings = np.concatenate([vectors, anchors])
    offered = peer.get_subset_indices(None, None, np.arange(rows), np.arange(rows, rows + known))
    assert np.unique(neighbours(anchors, vectors, 7)).tolist() == sorted(offered.tolist())


@settings(max_examples=15)
@given(**SIZES)
def test_anchor_subsampling_offers_what_small_text_offers(rows: int, n: int, known: int, seed: int) -> None:
    vectors, some = unit(embeddings(rows, seed)), labelled(known, 3, seed)
    anchors = anchors_of(unit(some.embeddings), some.labels, 3, seed)
    assert len(anchors) == np.minimum(some.labels.sum(axis=0), 3).sum()
    peer = AnchorSubsampling.__new__(AnchorSubsampling)
    peer.__dict__.update(k=9, subsample_size=12, nn=Exact(vectors), indices_unlabeled=set(range(rows)))
    every = np.concatenate([vectors, anchors])
    offered = peer._get_subset_indices(every, np.arange(rows), np.arange(rows, len(every)))
    assert nearest_to_anchors(anchors, vectors, 9, 12).tolist() == sorted(offered.tolist())


def test_class_balancer_evens_out_what_is_labelled() -> None:
    none = np.zeros(3, dtype=bool)
    assert balanced(np.array([5, 1, 0]), np.array([9, 9, 9]), none, 6).tolist() == [0, 3, 3]
    assert balanced(np.array([5, 1, 0]), np.array([9, 1, 9]), none, 6).tolist() == [0, 1, 5]
    assert balanced(np.array([0, 0, 0]), np.array([9, 9, 9]), np.array([True, False, False]), 4).tolist() == [0, 2, 2]
    assert balanced(np.array([0, 0, 0]), np.array([9, 1, 1]), np.array([True, False, False]), 4).tolist() == [2, 1, 1]
    assert balanced(np.array([0, 0, 0]), np.array([1, 1, 0]), none, 9).tolist() == [1, 1, 0]


def test_class_balancer_asks_for_texts_that_are_predicted_so() -> None:
    p = np.array([[0.9, 0.1]] * 20 + [[0.4, 0.6]] * 3, dtype=np.float32)
    known = Labelled(embeddings(6, 0), np.array([[1, 0]] * 6), p[:6])
    picked = select("class-balancer", source(p, embeddings(23, 0), known), 4).rows
    assert (picked >= 20).sum() == 3


def test_mixed_gives_each_strategy_its_share() -> None:
    p = probabilities(100, 3, 0)
    pool = source(p, embeddings(100, 0), labelled(6, 3, 0))
    picked = select("mixed", pool, 10, shares={"least-confidence": 0.7, "most-confident": 0.3}).rows
    order = np.argsort(p.max(axis=1))
    assert set(picked[:7]) == set(order[:7])
    assert set(picked[7:]) == set(order[-3:])
    assert parts_of(10, [0.8, 0.1, 0.1]) == [8, 1, 1]
    assert parts_of(4, [1.0, 1.0, 1.0]) == [2, 1, 1]
    assert parts_of(0, [1.0]) == [0]


@settings(max_examples=20)
@given(rows=st.integers(1, 40), labels=st.integers(2, 6), known=st.integers(1, 9), seed=st.integers(0, 99))
def test_label_cardinality_and_separation_are_the_papers(rows: int, labels: int, known: int, seed: int) -> None:
    p, given_labels = probabilities(rows, labels, seed, True), labelled(known, labels, seed, True).labels
    usual = given_labels.sum() / known
    np.testing.assert_allclose(cardinality_gap(p, given_labels), [abs((row >= 0.5).sum() - usual) for row in p])
    margins = [min([x for x in r if x >= 0.5], default=0.5) - max([x for x in r if x < 0.5], default=0.5) for r in p]
    np.testing.assert_allclose(separation(p), margins, atol=1e-6)
    pool = source(p, embeddings(rows, seed), labelled(known, labels, seed, True))
    scores = np.sqrt((cardinality_gap(p, given_labels) + 1) / np.maximum(separation(p), 0.01))
    assert (
        select("adaptive", pool, 3, multi_label=True).rows.tolist() == np.argsort(-scores, kind="stable")[:3].tolist()
    )


@settings(max_examples=20)
@given(rows=st.integers(2, 30), labels=st.integers(2, 6), known=st.integers(1, 9), seed=st.integers(0, 99))
def test_category_vector_inconsistency_is_the_papers(rows: int, labels: int, known: int, seed: int) -> None:
    p, given_labels = probabilities(rows, labels, seed, True), labelled(known, labels, seed, True).labels.astype(bool)
    predicted = p >= 0.5

    def distance(a: Any, b: Any) -> float:
        if (a != b).all():
            return 1.0
        cells = [np.mean(a & b), np.mean(a & ~b), np.mean(~a & b), np.mean(~a & ~b)]
        joint = scipy_entropy(cells)
        alone = scipy_entropy([a.mean(), 1 - a.mean()]) + scipy_entropy([b.mean(), 1 - b.mean()])
        return float((2 * joint - alone) / joint) if joint else 0.0

    expected = [np.mean([distance(a, b) for b in given_labels]) for a in predicted]
    np.testing.assert_allclose(vector_distance(predicted, given_labels), expected, atol=1e-9)
    margins = np.abs(2 * p - 1)
    ranks = np.array([[sum(other < margin for other in column) + 1 for margin in column] for column in margins.T])
    points = (rows - ranks).sum(axis=0) / (labels * (rows - 1))
    np.testing.assert_allclose(borda(p), points, atol=1e-9)
