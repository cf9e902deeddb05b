"""A strategy that covers the pool with balls."""

from __future__ import annotations

import numpy as np

from tornio.arrays import BoolVector, FloatMatrix, IntArray
from tornio.query.candidates import Candidates
from tornio.query.port import Selection
from tornio.query.strategies.clusters import clustered
from tornio.query.strategies.uncertainty import chosen
from tornio.query.vectors import Bounded, blocks, drawn, nearest_square, squares, unit
from tornio.spec import setting

_TRIED = 1000
"""Texts on which the radius is chosen."""


class ProbCoverSettings(Bounded):
    """The settings of ``prob-cover``."""

    candidates: int = setting(
        10_000,
        unit="records",
        change="live",
        ge=10,
        le=200_000,
        doc="From a pool with more texts than this, so many are drawn at random, and the strategy picks from them. "
        "Default 10,000: the cost grows with the square.",
    )
    radius: float | None = setting(
        None,
        change="live",
        gt=0,
        le=2,
        doc="Radius of a ball, a distance between embeddings of length one. Default: chosen by purity.",
    )
    purity: float = setting(
        0.95,
        change="live",
        gt=0,
        lt=1,
        doc="The radius is the largest with which this share of the balls lie inside one cluster. Default .95, as in "
        "the paper.",
    )


class ProbCover:
    """Picks the text whose ball covers most texts that no ball of a labelled or picked text covers yet.

    Source: Yehuda et al. (2022), "Active Learning Through a Covering Lens", NeurIPS, algorithm 1 and section 4.2. The
    radius is the largest at which balls are pure: a share of them contains texts of one cluster alone, where k-means
    makes as many clusters as the task has labels. Ours tries every twentieth of the distances up to the longest, on
    1,000 texts at most. When everything is covered, the texts farthest from all that are labelled or picked follow.
    Needs no model.
    """

    settings = ProbCoverSettings
    reads_pool = True

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        settings: ProbCoverSettings = candidates.settings
        positions = drawn(candidates, n, seed)
        if len(positions) <= n:
            return chosen(candidates, positions)
        vectors, labelled = unit(candidates.take(positions).embeddings), unit(candidates.labelled.embeddings)
        radius = settings.radius or pure_radius(vectors, len(candidates.labels), settings.purity, seed)
        return chosen(candidates, positions[cover(vectors, labelled, radius, n)])


def pure_radius(vectors: FloatMatrix, clusters: int, purity: float, seed: int) -> float:
    """Return the radius that ``ProbCover`` describes; the smallest that is tried where none is pure."""
    rows = np.random.default_rng(seed).permutation(len(vectors))[:_TRIED]
    some = vectors[rows]
    cluster, _ = clustered(some, min(clusters, len(some)), seed)
    distances = np.sqrt(squares(some, some))
    other = np.where(cluster[:, None] == cluster[None, :], np.inf, distances).min(axis=1)
    longest = float(distances.max()) or 1.0
    tried = longest * np.arange(1, 21) / 20
    pure = [float(radius) for radius in tried if (other > radius).mean() >= purity]
    return max(pure) if pure else float(tried[0])


def cover(vectors: FloatMatrix, labelled: FloatMatrix, radius: float, n: int) -> IntArray:
    """Return ``n`` rows, int64, as ``ProbCover`` picks them. The graph of balls is not kept: a text's degree is lowered
    once, when it is covered, so that the whole costs two products of all pairs."""
    square = np.float32(radius**2)
    nearest = nearest_square(vectors, labelled)
    open_rows: BoolVector = nearest > square
    degrees = _degrees(vectors, vectors[open_rows], square)
    picked: list[int] = []
    for _ in range(min(n, len(vectors))):
        best = int(degrees.argmax()) if (degrees > 0).any() else int(nearest.argmax())
        distances = squares(vectors, vectors[[best]])[:, 0]
        covered = open_rows & (distances <= square)
        covered[best] = open_rows[best]
        degrees -= _degrees(vectors, vectors[covered], square)
        open_rows &= ~covered
        picked.append(best)
        nearest = np.minimum(nearest, distances)
        nearest[picked], degrees[picked] = -1.0, 0
    return np.array(picked, dtype=np.int64)


def _degrees(vectors: FloatMatrix, others: FloatMatrix, square: np.float32) -> IntArray:
    """int64 [m]: how many of the others lie within each vector's ball."""
    found = np.zeros(len(vectors), dtype=np.int64)
    if len(others):
        for block in blocks(len(vectors), len(others)):
            found[block] = (squares(vectors[block], others) <= square).sum(axis=1)
    return found
