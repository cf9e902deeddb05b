"""Strategies that pick a small set of texts that stands for all: coresets over embeddings."""

from __future__ import annotations

import numpy as np

from tornio.arrays import DoubleArray, FloatMatrix, IntArray
from tornio.query.candidates import Candidates
from tornio.query.port import Selection
from tornio.query.strategies.uncertainty import chosen
from tornio.query.vectors import Bounded, drawn, nearest_square, squares, unit


class GreedyCoreset:
    """Picks the text that is farthest from all that are labelled or picked, again and again.

    Source: Sener and Savarese (2018), "Active Learning for Convolutional Neural Networks: A Core-Set Approach", ICLR,
    algorithm 1. Distances are Euclidean between embeddings of length one. Without a labelled text, the first is the one
    farthest from the mean. It likes outliers. Needs no model.
    """

    settings = Bounded
    reads_pool = True

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        positions = drawn(candidates, n, seed)
        vectors, labelled = unit(candidates.take(positions).embeddings), unit(candidates.labelled.embeddings)
        return chosen(candidates, positions[farthest_first(vectors, labelled, n)])


def farthest_first(vectors: FloatMatrix, labelled: FloatMatrix, n: int) -> IntArray:
    """Return ``n`` rows of the vectors, int64, as ``GreedyCoreset`` picks them. Of equals the first is picked."""
    picked: list[int] = []
    starts = labelled if len(labelled) or not len(vectors) else vectors.mean(axis=0, keepdims=True)
    distances = nearest_square(vectors, starts)
    while len(picked) < min(n, len(vectors)):
        picked.append(int(distances.argmax()))
        # Without a labelled text the mean only chose the first: from then on, distances are to the picked texts.
        new = squares(vectors, vectors[picked[-1:]])[:, 0]
        distances = new if len(picked) == 1 and not len(labelled) else np.minimum(distances, new)
        distances[picked] = -1.0
    return np.array(picked, dtype=np.int64)


class LightweightCoreset:
    """Draws each text with a chance that is half uniform and half by its distance to the mean.

    Source: Bachem, Lucic and Krause (2018), "Scalable k-Means Clustering via Lightweight Coresets", KDD, algorithm 1.
    As in small-text, the distance is the angle between embedding and mean, which is squared, and texts are drawn
    without replacement. It is cheap: the pool is looked at once. Needs no model.
    """

    settings = Bounded
    reads_pool = True

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        positions = drawn(candidates, n, seed)
        chances = lightweight_chances(candidates.take(positions).embeddings)
        random = np.random.default_rng(seed)
        size = min(n, len(positions))
        picked = random.choice(len(positions), size, replace=False, p=chances) if size else np.zeros(0, dtype=np.int64)
        return chosen(candidates, positions[picked])


def lightweight_chances(embeddings: FloatMatrix) -> DoubleArray:
    """float64 [m]: the chance of each row, as ``LightweightCoreset`` draws them; all are above 0."""
    if not len(embeddings):
        return np.zeros(0)
    mean = unit(embeddings.mean(axis=0, keepdims=True))[0]
    angles = np.arccos(np.clip(unit(embeddings) @ mean, -1.0, 1.0)).astype(np.float64) / np.pi
    distances = angles**2
    total = float(distances.sum())
    uniform = np.full(len(distances), 1.0 / len(distances))
    chances = 0.5 * uniform + 0.5 * distances / total if total > 0 else uniform
    return np.asarray(chances / chances.sum())
