"""A strategy that asks where the model contradicts itself on similar texts."""

from __future__ import annotations

from typing import Literal

import numpy as np

from tornio.arrays import DoubleArray, FloatMatrix, IntArray
from tornio.query.candidates import Candidates
from tornio.query.port import Selection
from tornio.query.strategies.uncertainty import chosen
from tornio.query.vectors import Bounded, blocks, drawn, highest, neighbours, unit
from tornio.spec import setting


class ContrastiveSettings(Bounded):
    """The settings of ``contrastive``."""

    candidates: int = setting(
        20_000,
        unit="records",
        change="live",
        ge=10,
        le=5_000_000,
        doc="From a pool with more texts than this, so many are drawn at random, and the strategy picks from them. "
        "Default 20,000.",
    )
    neighbours: int = setting(
        10,
        unit="records",
        change="live",
        ge=1,
        le=1000,
        doc="With how many of its nearest texts a text is compared. Default 10, as in the paper.",
    )
    among: Literal["labelled", "all"] = setting(
        "labelled",
        change="live",
        doc="Where the neighbours are looked for. labelled: as in the paper. all: among labelled texts and candidates, "
        "itself included, as in small-text; the cost then grows with the square of candidates. Default labelled.",
    )


class Contrastive:
    """Picks the texts that the model predicts most unlike their nearest neighbours.

    Source: Margatina et al. (2021), "Active Learning by Acquiring Contrastive Examples", EMNLP, algorithm 1 (CAL). The
    score is the mean Kullback-Leibler divergence of a neighbour's prediction from that of the text. Neighbours are by
    Euclidean distance between embeddings of length one. With several labels allowed, the divergence is summed over the
    labels, each a yes-or-no question. Without a labelled text, neighbours are looked for among the candidates.
    """

    settings = ContrastiveSettings
    reads_pool = True

    def select(self, candidates: Candidates, n: int, seed: int) -> Selection:
        settings: ContrastiveSettings = candidates.settings
        positions = drawn(candidates, n, seed)
        some, labelled = candidates.take(positions), candidates.labelled
        vectors, p = unit(some.embeddings), some.probabilities
        predicted, others = p[:0] if labelled.probabilities is None else labelled.probabilities, vectors[:0]
        if len(predicted):
            others = unit(labelled.embeddings)
        if settings.among == "all" or not len(predicted):
            predicted, others = np.concatenate([p, predicted]), np.concatenate([vectors, others])
        near = neighbours(vectors, others, settings.neighbours)
        return chosen(candidates, positions[highest(contrast(p, predicted, near, some.multi_label), n)])


def contrast(p: FloatMatrix, predicted: FloatMatrix, near: IntArray, multi_label: bool) -> DoubleArray:
    """float64 [m]: the mean over ``near``, int64 [m, k], of KL(predicted || p); ``predicted``: float32 [o, K]."""
    if multi_label:
        return contrast(_questions(p), _questions(predicted), near, False)
    certain = (predicted * np.log(_above_zero(predicted))).sum(axis=1).astype(np.float64)
    found = np.zeros(len(p))
    for block in blocks(len(p), p.shape[1] * max(1, near.shape[1])):
        mean = predicted[near[block]].mean(axis=1)
        found[block] = certain[near[block]].mean(axis=1) - (mean * np.log(_above_zero(p[block]))).sum(axis=1)
    return found


def _questions(p: FloatMatrix) -> FloatMatrix:
    """Each label as a question of yes and no, float32 [m, 2 K]: divergences add up over them."""
    return np.concatenate([p, 1.0 - p], axis=1)


def _above_zero(p: FloatMatrix) -> FloatMatrix:
    return np.maximum(p, np.finfo(np.float32).tiny)
