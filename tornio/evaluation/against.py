"""How two versions compare on the hold-out texts: what a trial on live traffic, which has no labels, may expect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tornio.arrays import FloatMatrix
from tornio.schemas.trial import AgainstCurrent

Labels = Sequence[tuple[str, ...]]


def against_current(
    version: str, truth: Labels, candidate: Labels, current: Labels, confidences: tuple[FloatMatrix, FloatMatrix] | None
) -> AgainstCurrent:
    """Return how a candidate compares with ``version``, which is ``current``, on the same texts in the same order.

    ``confidences``: the probabilities of both, float32 [n, labels]; None with several labels per text. The correction
    is the "rectifier" of Angelopoulos et al. (2023), "Prediction-powered inference", of a difference of two means.
    """
    agreed = [set(one) == set(other) for one, other in zip(candidate, current, strict=True)]
    compared = AgainstCurrent(version=version, texts=len(agreed), agreed=sum(agreed))
    if confidences is None or len(agreed) < 2:
        return compared
    errors = [
        np.array([set(a) == set(t) for a, t in zip(answers, truth, strict=True)]) - probabilities.max(axis=1)
        for answers, probabilities in zip((candidate, current), confidences, strict=True)
    ]
    difference = errors[0] - errors[1]
    return compared.evolve(
        correction=float(difference.mean()), variance=float(difference.var(ddof=1) / len(difference))
    )
