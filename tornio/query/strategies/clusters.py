"""Strategies that cluster the pool and ask for texts of different clusters."""

from __future__ import annotations

import warnings

import numpy as np

from tornio.arrays import DoubleArray, FloatMatrix, IntArray
from tornio.query.candidates import Candidates
from tornio.query.port import Selection
from tornio.query.strategies.uncertainty import chosen
from tornio.query.vectors import Bounded, blocks, drawn, squares, unit
from tornio.spec import setting


class ClusterSettings(Bounded):
    """The settings of strategies whose cost grows with texts times clusters."""

    candidates: int = setting(
        10_000,
        unit="records",
        change="live",
        ge=10,
        le=1_000_000,
        doc="From a pool with more texts than this, so many are drawn at random, and the strategy picks from them. "
        "Default 10,000: with more, k-means takes long and its clusters change little.",
    )


class TypiClustSettings(ClusterSettings):
    """The settings of ``typiclust``."""

    neighbours: int = setting(
        20,
        unit="records",
        change="live",
        ge=1,
        le=1000,
        doc="A text is typical if its so many nearest neighbours in its cluster are near. Default 20, as in the paper.",
    )
    most_clusters: int = setting(
        500, unit="clusters", change="live", ge=2, le=10_000, doc="The most clusters. Default 500, as in the paper."
    )


class EmbeddingKMeans:
    """Clusters the embeddings into as many clusters as texts are asked, and picks the text nearest to each centre.

    Source: Yuan, Lin and Boyd-Graber (2020), "Cold-start Active Learning through Self-supervised Language Modeling",
    EMNLP, section 3 (BERT-KM). Embeddings have length one, and near means a large product, as in small-text. Needs no
    model.
    """

    settings = ClusterSettings
    reads_pool = True

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        positions = drawn(candidates, n, seed)
        if len(positions) <= n:
            return chosen(candidates, positions)
        vectors = unit(candidates.take(positions).embeddings)
        return chosen(candidates, positions[nearest_to_centres(vectors, clustered(vectors, n, seed)[1])])


def nearest_to_centres(vectors: FloatMatrix, centres: FloatMatrix) -> IntArray:
    """Return the row with the largest product with each centre, int64. A row that is taken already is not taken again:
    the later centre takes its next one."""
    products = centres @ vectors.T
    picked: list[int] = []
    for row in products:
        row[picked] = -np.inf
        picked.append(int(row.argmax()))
    return np.array(picked, dtype=np.int64)


class TypiClust:
    """Picks the most typical text of the largest clusters that have no label yet.

    Source: Hacohen, Dekel and Weinshall (2022), "Active Learning on a Budget: Opposite Strategies Suit High and Low
    Budgets", ICML, section 3. There are as many clusters as labelled texts and texts of the batch, at most
    ``most_clusters``. Typicality is the inverse of the mean distance to the nearest neighbours of the same cluster.
    When every cluster has a label or a pick, those with the fewest follow, the largest first; as in its authors' code,
    clusters of fewer than five texts come last. Unlike there, embeddings have length one. Needs no model.
    """

    settings = TypiClustSettings
    reads_pool = True

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        settings: TypiClustSettings = candidates.settings
        positions = drawn(candidates, n, seed)
        if len(positions) <= n:
            return chosen(candidates, positions)
        vectors, labelled = unit(candidates.take(positions).embeddings), unit(candidates.labelled.embeddings)
        every = np.concatenate([vectors, labelled]) if len(labelled) else vectors
        cluster, _ = clustered(every, min(len(labelled) + n, settings.most_clusters), seed)
        picked = typical(vectors, cluster, len(positions), n, settings.neighbours)
        return chosen(candidates, positions[picked])


_SMALL = 5
"""Clusters with fewer texts come last."""


def typical(vectors: FloatMatrix, cluster: IntArray, candidates: int, n: int, neighbours: int) -> IntArray:
    """Return ``n`` rows, int64, as ``TypiClust`` picks them. ``cluster``: int64, of each candidate, then of each
    labelled text."""
    count = int(cluster.max()) + 1
    covered = np.bincount(cluster[candidates:], minlength=count)
    sizes = np.bincount(cluster[:candidates], minlength=count)
    left: dict[int, list[int]] = {}
    picked: list[int] = []
    while len(picked) < min(n, candidates):
        order = np.lexsort((-sizes, covered, sizes < _SMALL))
        best = int(next(number for number in order if sizes[number] > 0))
        if best not in left:
            members = np.flatnonzero(cluster[:candidates] == best)
            dense = typicality(vectors[members], neighbours)
            left[best] = members[np.argsort(dense, kind="stable")].tolist()  # the most typical one is last
        picked.append(left[best].pop())
        sizes[best], covered[best] = sizes[best] - 1, covered[best] + 1
    return np.array(picked, dtype=np.int64)


def typicality(vectors: FloatMatrix, neighbours: int) -> DoubleArray:
    """float64 [m]: the inverse of the mean distance to the nearest neighbours among these vectors; 1 for one alone."""
    k = min(neighbours, len(vectors) - 1)
    found = np.ones(len(vectors))
    if k < 1:
        return found
    for block in blocks(len(vectors), len(vectors)):
        near = np.partition(squares(vectors[block], vectors), k, axis=1)[:, : k + 1]  # each finds itself, too
        found[block] = k / (np.sqrt(near).sum(axis=1) + 1e-7)
    return found


_STEPS = 25
"""Steps of k-means. Clusters of thousands of texts change little after these, and each costs texts times clusters."""


def clustered(vectors: FloatMatrix, clusters: int, seed: int) -> tuple[IntArray, FloatMatrix]:
    """Return the cluster of each row, int64 [m], and the centres, float32 [clusters, d], by scikit-learn's k-means with
    one start and at most ``_STEPS`` steps. There are at least as many rows as clusters; copies leave clusters empty.

    It computes in one thread: several add up in an order of their own, and the same seed would give other clusters.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different texts than clusters
        found = KMeans(clusters, n_init=1, max_iter=_STEPS, random_state=seed % 2**32).fit(vectors)
    return found.labels_.astype(np.int64), np.asarray(found.cluster_centers_, dtype=np.float32)
