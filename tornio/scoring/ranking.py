"""The rankings: ways to turn probabilities into suspicion, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tornio.arrays import BoolMatrix, BoolVector, FloatMatrix, FloatVector
from tornio.errors import InvalidInput
from tornio.scoring.measures import CLIP, LEAST, Measures, measure

EMBEDDING, WORDS, NEIGHBOURS = "embedding", "words", "neighbours"
EXPERTS = (EMBEDDING, WORDS, NEIGHBOURS)


@dataclass(frozen=True, slots=True)
class Ranking:
    """One ranking. ``about``: what it measures, and its source. ``experts``: those that it uses out of sample.

    ``whole``: it needs all rows at once, so that parts cannot be ranked on their own.
    """

    about: str
    experts: tuple[str, ...] = (EMBEDDING,)
    whole: bool = False


POOLED = "pooled-loss"
LOSS = "loss"
RANKINGS: Mapping[str, Ranking] = {
    POOLED: Ranking(
        "-log probability of the given label under three experts that did not see the row: a linear head on its "
        "embedding, one on its words, and the labels of its nearest neighbours. Their product is weighted so that "
        "the given labels are most likely (a logarithmic opinion pool, Genest and Zidek 1986). Errors of the three "
        "have little in common, wrong labels stand out in all.",
        EXPERTS,
    ),
    LOSS: Ranking("-log probability of the given label; cleanlab's self-confidence (Northcutt et al. 2021)."),
    "confident-learning": Ranking(
        "rows that cleanlab's find_label_issues filters out (prune by noise rate; Northcutt et al. 2021) come first, "
        "by loss, then all others by loss. Needs tornio[quality].",
        whole=True,
    ),
    "confidence-weighted-entropy": Ranking(
        "entropy over the probability of the given label (Kuan and Mueller 2022): high also where no label fits well."
    ),
    "normalized-margin": Ranking(
        "probability of the given label less the largest of the others (Northcutt et al. 2021): low where another "
        "label fits clearly better."
    ),
}
"""Best first. Mean average precision of finding 10 % flipped labels in AG News, TREC and SST-2 sentences, three seeds
(``bench/label_errors.py``): .818, .772, .766, .766, .731; cleanlab on scikit-learn's defaults .763, in-sample
loss .769. Of the pooled, embedding and neighbours alone .788, embedding and words .810."""


@dataclass(frozen=True, slots=True)
class Precision:
    """How good a ranking was, by the rows that people have reviewed.

    ``shown``: rows that were sent; ``reviewed``: of those, rows with a decided answer; ``changed``: of those, rows
    whose given label was wrong.
    """

    shown: int
    reviewed: int
    changed: int
    discarded: int = 0
    disputed: int = 0

    @property
    def share(self) -> float | None:
        """Share of the reviewed rows whose label was changed. None: no row was reviewed yet."""
        return self.changed / self.reviewed if self.reviewed else None


def default_ranking(cross_validated: bool) -> str:
    """Return ``pooled-loss`` for cross-validated probabilities, ``loss`` for those of a finished model."""
    return POOLED if cross_validated else LOSS


def suspicion(ranking: str, probabilities: FloatMatrix, given: BoolMatrix, multi_label: bool) -> FloatVector:
    """Return float32 [n]; higher is more suspicious. Sort in descending order, and keep the order of equal rows.

    ``probabilities``: float32 [n, labels], out of sample if possible; ``given``: bool [n, labels]. Rows with several
    labels are ranked by the aggregate of their labels (``measures.aggregate``), and confident learning filters a row if
    it filters any of its labels.

    Raises InvalidInput for a ranking that does not exist, broken probabilities, or a missing package.
    """
    if ranking not in RANKINGS:
        raise InvalidInput(f"no ranking {ranking!r} exists. Choose one of {', '.join(RANKINGS)}")
    measures = measure(probabilities, given, multi_label)
    if ranking == "confident-learning":
        return _confident_learning(measures, probabilities, given, multi_label)
    return _BY_MEASURE.get(ranking, _loss)(measures)


def set_apart(suspicious: FloatVector, unjudged: BoolVector) -> FloatVector:
    """Return float32 [n]: the suspicion of each row, that of rows that nothing could judge below that of all others."""
    return np.where(unjudged, np.float32(UNJUDGED), suspicious)


def most_suspicious(suspicious: FloatVector) -> NDArray[np.intp]:
    """Return the rows in the order in which to review them."""
    return np.argsort(-suspicious, kind="stable")


def _loss(measures: Measures) -> FloatVector:
    return measures.loss


def _margin(measures: Measures) -> FloatVector:
    return 1.0 - measures.normalized_margin


def _weighted_entropy(measures: Measures) -> FloatVector:
    """Log of entropy over confidence. The order is cleanlab's, but a row without any entropy is not the worst."""
    return np.log(np.maximum(measures.entropy, CLIP)) - np.log(np.maximum(measures.given_probability, CLIP))


def _confident_learning(
    measures: Measures, probabilities: FloatMatrix, given: BoolMatrix, multi_label: bool
) -> FloatVector:
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.multilabel_classification.filter import find_label_issues as find_in_several
    except ImportError as error:
        raise InvalidInput(
            "the ranking 'confident-learning' needs cleanlab. Run: pip install 'tornio[quality]', or choose another"
        ) from error
    p = np.asarray(probabilities, dtype=np.float64)
    if multi_label:
        filtered = find_in_several([list(np.flatnonzero(row)) for row in given], p, n_jobs=1)
    else:
        present = given.any(axis=0)  # cleanlab expects rows of every class
        q = np.maximum(p[:, present], LEAST)
        filtered = find_label_issues(given[:, present].argmax(axis=1), q / q.sum(axis=1, keepdims=True), n_jobs=1)
    return np.asarray(measures.loss + np.where(filtered, _ABOVE, 0.0), dtype=np.float32)


UNJUDGED = -100.0
"""Suspicion of rows that no model could judge: less than any other."""
_ABOVE = 100.0
"""Larger than any loss, so that filtered rows come first."""
_BY_MEASURE: Mapping[str, Callable[[Measures], FloatVector]] = {
    "normalized-margin": _margin,
    "confidence-weighted-entropy": _weighted_entropy,
}
