"""A cold start that spreads over the data."""

from __future__ import annotations

import numpy as np

from tornio.arrays import FloatMatrix
from tornio.query.candidates import Candidates
from tornio.query.port import Selection
from tornio.query.vectors import Bounded, drawn


class Diverse:
    """Picks texts whose embeddings are spread over the pool: see ``k_means_plus_plus``. Needs no model."""

    settings = Bounded
    reads_pool = True

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        positions = drawn(candidates, n, seed)
        picked = k_means_plus_plus(candidates.take(positions).embeddings, n, seed)
        return Selection(positions[np.array(picked, dtype=np.int64)])


def k_means_plus_plus(vectors: FloatMatrix, size: int, seed: int) -> list[int]:
    """Draw rows one after the other, each with a chance in proportion to its squared distance to those drawn before.

    Source: Arthur and Vassilvitskii (2007), "k-means++: The Advantages of Careful Seeding", SODA, section 2.2; as a
    query: Yuan, Lin and Boyd-Graber (2020), "Cold-start Active Learning through Self-supervised Language Modeling",
    EMNLP, section 3. Ours stops after the seeding and does not run k-means. Unlike the farthest-first choice it does
    not prefer outliers. When only copies of drawn texts are left, the rest is drawn uniformly.
    """
    random = np.random.default_rng(seed)
    distances = np.full(len(vectors), np.inf)
    chosen: list[int] = []
    while len(chosen) < min(size, len(vectors)):
        if chosen:
            distances = np.minimum(distances, ((vectors - vectors[chosen[-1]]) ** 2).sum(axis=1))
            distances[chosen] = 0.0
        weights = distances if chosen else np.ones(len(vectors))
        if weights.sum() <= 0.0:
            weights = np.ones(len(vectors))
            weights[chosen] = 0.0
        chosen.append(int(random.choice(len(vectors), p=weights / weights.sum())))
    return chosen
