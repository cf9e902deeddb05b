"""Wrappers that let another strategy pick among the texts that are near labelled ones."""

from __future__ import annotations

import numpy as np

from tornio.arrays import FloatMatrix, IntArray
from tornio.query.candidates import Candidates
from tornio.query.port import Selection
from tornio.query.strategies.diverse import k_means_plus_plus
from tornio.query.strategies.uncertainty import chosen
from tornio.query.strategies.wrapping import InnerSettings, OneInside
from tornio.query.vectors import Bounded, drawn, highest, nearest_square, neighbours, unit
from tornio.spec import setting


class SealsSettings(InnerSettings, Bounded):
    """The settings of ``seals``."""

    neighbours: int = setting(
        100,
        unit="records",
        change="live",
        ge=1,
        le=10_000,
        doc="How many of the nearest texts of each labelled one can be picked. Default 100, as in the paper.",
    )


class AnchorSettings(InnerSettings, Bounded):
    """The settings of ``anchor-subsampling``."""

    anchors: int = setting(
        10,
        unit="records",
        change="live",
        ge=1,
        le=1000,
        doc="Anchors of each label, which are labelled texts. Default 10.",
    )
    neighbours: int = setting(
        50, unit="records", change="live", ge=1, le=10_000, doc="Nearest texts of each anchor. Default 50."
    )
    size: int = setting(
        500, unit="records", change="live", ge=10, le=1_000_000, doc="From how many texts is picked. Default 500."
    )


class Seals(OneInside):
    """Lets another strategy pick among the nearest texts of the labelled ones.

    Source: Coleman et al. (2022), "Similarity Search for Efficient Active Learning and Search of Rare Concepts", AAAI,
    section 3.1. Nearest neighbours are exact and among at most ``candidates`` texts, where the paper keeps an
    approximate index of the whole pool. Where there are fewer neighbours than the batch needs, the next nearest texts
    follow. Without a labelled text, and with at most ``neighbours`` texts, the other strategy picks from all.
    """

    settings = SealsSettings

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        positions, k = drawn(candidates, n, seed), candidates.settings.neighbours
        labelled = unit(candidates.labelled.embeddings)
        if len(labelled) and len(positions) > k:
            vectors = unit(candidates.take(positions).embeddings)
            near = np.unique(neighbours(labelled, vectors, k))
            positions = positions[_enough(near, vectors, labelled, n)]
        return chosen(candidates, self.inner(candidates, positions, n, seed))


class AnchorSubsampling(OneInside):
    """Lets another strategy pick among the texts nearest to anchors, a few labelled texts of each label.

    Source: Lesci and Vlachos (2024), "AnchorAL: Computationally Efficient Active Learning for Large and Imbalanced
    Datasets", NAACL, section 3. Anchors are drawn by k-means++ seeding among the labelled texts of each label. A text
    that is a neighbour of several anchors counts with its mean distance, and the nearest ``size`` are kept. Differences
    are those of ``Seals``. It pays where some labels are rare, since the pool near their few texts is looked at first.
    """

    settings = AnchorSettings

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        settings: AnchorSettings = candidates.settings
        positions, labelled = drawn(candidates, n, seed), candidates.labelled
        if len(labelled.labels) and len(positions) > settings.size:
            anchors = anchors_of(unit(labelled.embeddings), labelled.labels, settings.anchors, seed)
            vectors = unit(candidates.take(positions).embeddings)
            near = nearest_to_anchors(anchors, vectors, settings.neighbours, settings.size)
            positions = positions[_enough(near, vectors, anchors, n)]
        return chosen(candidates, self.inner(candidates, positions, n, seed))


def anchors_of(vectors: FloatMatrix, labels: IntArray, size: int, seed: int) -> FloatMatrix:
    """Return the embeddings of the anchors, float32 [a, d]: at most ``size`` of each label."""
    rows: list[int] = []
    for column in labels.T:
        members = np.flatnonzero(column)
        rows += members[k_means_plus_plus(vectors[members], size, seed)].tolist()
    return vectors[rows] if rows else vectors  # every labelled text may have no label at all


def nearest_to_anchors(anchors: FloatMatrix, vectors: FloatMatrix, k: int, size: int) -> IntArray:
    """Return the rows that are among the ``k`` nearest of an anchor, int64 ascending: the ``size`` with the least mean
    distance to the anchors that they are near."""
    near = neighbours(anchors, vectors, k)
    rows, place = np.unique(near, return_inverse=True)
    distances = ((anchors[:, None, :] - vectors[near]) ** 2).sum(axis=2)
    totals = np.bincount(place.ravel(), weights=distances.ravel())
    means = totals / np.bincount(place.ravel())
    return np.sort(rows[highest(-means, size)])


def _enough(near: IntArray, vectors: FloatMatrix, to: FloatMatrix, n: int) -> IntArray:
    """Return these rows, int64 ascending, with the next nearest ones where there are fewer than ``n``."""
    if len(near) >= n:
        return near
    distances = nearest_square(vectors, to).astype(np.float64)
    distances[near] = -1.0
    return np.sort(highest(-distances, n))
