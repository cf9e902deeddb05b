"""Nearest vectors by exhaustive search: exact, and fast enough for data that fits on one machine."""

from uuid import UUID

import numpy as np
from argilla_server.enums import SimilarityOrder


def nearest(
    rows: list[tuple[UUID, list[float]]],
    probe: list[float],
    order: SimilarityOrder,
    max_results: int,
    threshold: float | None,
) -> list[tuple[UUID, float]]:
    """Return ids and scores, best first. The score is that of Elasticsearch for cosines: (1 + cos) / 2, in [0, 1]."""
    if not rows:
        return []
    matrix = np.asarray([vector for _, vector in rows], dtype=np.float32)
    query = np.asarray(probe, dtype=np.float32)
    if order == SimilarityOrder.least_similar:
        query = -query
    norms = np.linalg.norm(matrix, axis=1) * np.linalg.norm(query)
    scores = (1 + matrix @ query / np.maximum(norms, 1e-12)) / 2
    best = np.argsort(-scores, kind="stable")[:max_results]
    results = [(rows[index][0], float(scores[index])) for index in best]
    return [item for item in results if threshold is None or item[1] >= threshold]
