"""The first batches, before there is a model to ask."""

from __future__ import annotations

from typing import Literal

import numpy as np

from tornio.arrays import FloatMatrix


def cold_start(
    kind: Literal["random", "diverse"], rows: int, size: int, seed: int, vectors: FloatMatrix | None = None
) -> list[int]:
    """At most ``size`` of ``rows`` candidates, in the order in which they are wanted.

    ``vectors``: float32 [rows, dim] embeddings, which ``diverse`` needs. Raises ValueError without them.
    """
    if kind == "random":
        return [int(row) for row in np.random.default_rng(seed).permutation(rows)[:size]]
    if vectors is None or len(vectors) != rows:
        raise ValueError("a diverse cold start needs an embedding of each candidate")
    return k_means_plus_plus(vectors, size, seed)


def k_means_plus_plus(vectors: FloatMatrix, size: int, seed: int) -> list[int]:
    """Rows spread over the data: each is drawn with a chance in proportion to its squared distance to those drawn.

    Source: Arthur and Vassilvitskii (2007), "k-means++: The Advantages of Careful Seeding", SODA, section 2.2; as a
    query: Yuan, Lin and Boyd-Graber (2020), "Cold-start Active Learning through Self-supervised Language Modeling",
    EMNLP, section 3 (ours stops at the seeding). Unlike the farthest-first choice it does not go for outliers. When
    only copies of drawn texts are left, the rest is drawn uniformly.
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
