"""Learn from a teacher's labels: linear heads in rounds, each on the texts of which the one before was surest.

Sources: self-training on pseudo-labels (Lee 2013, "Pseudo-Label") with a share of each class that grows from round to
round (Cascante-Bonilla et al. 2021, "Curriculum Labeling", section 3), and the mean of what all rounds say (Laine and
Aila 2017, "Temporal Ensembling", section 2.2). Deviations: the heads are linear on a frozen encoder, so the mean is
one of the heads, and not of their predictions; it is taken at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tornio.arrays import FloatMatrix, FloatVector, IntArray
from tornio.errors import InvalidInput
from tornio.models.head import softmax
from tornio.training.regression import Coefficients, regress
from tornio.training.targets import UNSEEN_LOGIT

STRENGTHS = (1.0, 0.1)
"""Strengths C of the learners. The weak penalty suits topics (AG News), the strong one suits classes that a teacher
hardly knows (TREC). Only labels could tell which, so both learn, apart from each other, and their mean counts."""
LEAST_TEXTS = 20
"""With fewer texts there is nothing to learn from."""
LEAST_OF_A_CLASS = 5
"""How many texts of each class a round uses at least, so that a rare class does not die out."""
NEVER = 0.1
"""A label whose probability is below this part of an even share in every text is one that the teacher never gives."""
_FLOOR = 1e-6
_SAME = 1e-6
_LOG_SCALES = (-8.0, 8.0)


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Texts that people have labelled. ``vectors``: float32 [m, dim]. ``classes``: int64 [m]. ``weights``: float32 [m],
    how many texts of the teacher each of them counts for."""

    vectors: FloatMatrix
    classes: IntArray
    weights: FloatVector


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """What was learned: ``weight`` float32 [labels, dim] and ``bias`` float32 [labels] of the head, and its metrics."""

    weight: FloatMatrix
    bias: FloatVector
    metrics: dict[str, float]

    def probabilities(self, vectors: FloatMatrix) -> FloatMatrix:
        """Return float32 [n, labels] for vectors float32 [n, dim]."""
        return softmax(vectors @ self.weight.T + self.bias)


def least_texts(labels: int) -> int:
    """Return how many texts a student of a teacher with so many labels needs."""
    return max(LEAST_TEXTS, 2 * labels)


def check_teachable(vectors: FloatMatrix, probabilities: FloatMatrix, names: Sequence[str]) -> None:
    """Raise InvalidInput, with what to do, where a teacher cannot teach anything about these texts.

    ``vectors``: float32 [n, dim]. ``probabilities``: float32 [n, labels], the teacher's.
    """
    least = least_texts(len(names))
    if len(vectors) < least:
        raise InvalidInput(
            f"a teacher needs at least {least} texts that have no label and are not held out, and the pool has "
            f"{len(vectors)}: add more with `tornio pool add`"
        )
    if not (np.isfinite(vectors).all() and np.isfinite(probabilities).all()):
        raise InvalidInput("the embeddings or the teacher's probabilities are not all finite: choose another model")
    if float(np.ptp(vectors, axis=0).max()) < _SAME:
        raise InvalidInput(f"all {len(vectors)} texts are alike to the encoder: add texts that differ")
    given = np.unique(probabilities.argmax(axis=1))
    if len(given) == 1:
        raise InvalidInput(
            f"the teacher gives the label {names[int(given[0])]!r} to all {len(vectors)} texts: describe the labels "
            "(`description` in task.yaml; teacher.instruction for a chat model), or choose another teacher"
        )


def learn(
    vectors: FloatMatrix,
    probabilities: FloatMatrix,
    shares: Sequence[float],
    known: Known | None = None,
    progress: Callable[[int], None] = lambda _round: None,
) -> Taught:
    """Return the head that a teacher's probabilities make.

    ``vectors``: float32 [n, dim], embeddings of texts without a label. ``probabilities``: float32 [n, labels], the
    teacher's; each row sums to one. ``shares``: for each round, the share of each class that is learned from.
    ``progress``: called with the number of each finished round.

    The teacher's probabilities are corrected first, so that the log-probability of each label has the mean 0 over the
    texts: a label whose name suits every text shall not get them all. Classes weigh the same in each round. Shares of
    the classes that are estimated on these texts made it worse on all sets that were tried: see ``docs/bootstrap.md``.

    How right the student is cannot be measured without labels. Its probabilities are scaled so that it is on average as
    sure of the texts as it agrees with the teacher.

    Metrics: ``texts``; ``rounds``; ``teacher_agreement``, the share of the texts that get the label that the teacher
    gave; ``round_agreement``, the share that kept its label in the last round; ``learner_agreement``, the share of
    which the learners of the last round say the same; ``examples``, the texts that people labelled.
    """
    with threadpool_limits(1):  # matrices this small are several times slower on two contended threads
        space = _Space.of(vectors)
        X = space.inside(vectors)
        people = None if known is None else Known(space.inside(known.vectors), known.classes, known.weights)
        centred = _centred(probabilities)
        learners = [_Learner(X, centred, c, people) for c in STRENGTHS]
        for number, share in enumerate(shares, 1):
            for learner in learners:
                learner.turn(share)
            progress(number)
        mean = _mean([head for learner in learners for head in learner.heads])
        logits = mean.logits(X)
    said = logits.argmax(axis=1)
    agreement = float(np.mean(said == probabilities.argmax(axis=1)))
    metrics = {
        "examples": 0.0 if known is None else float(len(known.classes)),
        "texts": float(len(X)),
        "rounds": float(len(shares)),
        "teacher_agreement": agreement,
        "round_agreement": float(np.mean([learner.kept for learner in learners])),
        "learner_agreement": float(np.mean(learners[0].said == learners[-1].said)),
    }
    return Taught(*space.outside(mean, _scale(logits, agreement)), metrics)


class _Learner:
    """A head that learns from what it said the round before."""

    def __init__(self, X: FloatMatrix, start: FloatMatrix, c: float, people: Known | None) -> None:
        self._X, self._c, self._people = X, c, people
        self._logits = start
        self._last: Coefficients | None = None
        self.heads: list[Coefficients] = []
        self.kept = 0.0

    @property
    def said(self) -> IntArray:
        """The label of each text by the last round, int64 [n]."""
        return np.asarray(self._logits.argmax(axis=1), dtype=np.int64)

    def turn(self, share: float) -> None:
        """Learn from this share of each class, and label all texts again."""
        before = self.said
        rows = surest(softmax(self._logits), share)
        X, classes, weights = self._X[rows], before[rows], np.ones(len(rows), dtype=np.float32)
        if self._people is not None:
            X = np.concatenate([X, self._people.vectors])
            classes = np.concatenate([classes, self._people.classes])
            weights = np.concatenate([weights, self._people.weights])
        head = _fit(X, classes, weights, self._c, self._logits.shape[1])
        self._logits = head.logits(self._X)
        self.kept = float(np.mean(self.said == before))
        self.heads.append(_unit_scale(head, self._logits))


def surest(probabilities: FloatMatrix, share: float) -> IntArray:
    """Return the rows, int64 [m], sorted, that are this share of each class: those with the highest probability of it.

    Of each class that is given to any row there are at least ``LEAST_OF_A_CLASS``, or all.
    """
    said, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    picked = [np.zeros(0, dtype=np.int64)]
    for label in np.unique(said):
        rows = np.flatnonzero(said == label)
        count = max(LEAST_OF_A_CLASS, int(share * len(rows)))
        picked.append(rows[np.argsort(-sure[rows], kind="stable")[:count]])
    return np.sort(np.concatenate(picked))


def _fit(X: FloatMatrix, classes: IntArray, weights: FloatVector, c: float, labels: int) -> Coefficients:
    """Return the regression's coefficients, with a constant that is never predicted for a label without an example."""
    totals = np.bincount(classes, weights, labels)
    seen = np.flatnonzero(totals > 0)
    if len(seen) < 2:
        raise InvalidInput(
            "after a round all texts have the same label: describe the labels, or choose another teacher"
        )
    balanced = (weights * (weights.sum() / (len(seen) * totals[classes]))).astype(np.float32)
    Y = (classes[:, None] == seen).astype(np.int64)
    found = regress(X, Y, balanced, c, multi_label=False)
    weight = np.zeros((labels, X.shape[1]), dtype=np.float32)
    bias = np.full(labels, UNSEEN_LOGIT, dtype=np.float32)
    weight[seen], bias[seen] = found.weight, found.bias
    return Coefficients(weight, bias)


def _centred(probabilities: FloatMatrix) -> FloatMatrix:
    """Return the corrected logits of the teacher. A label that it thinks of for no text stays out."""
    logs = np.log(np.maximum(probabilities, _FLOOR))
    never = probabilities.max(axis=0) < NEVER / probabilities.shape[1]
    return np.where(never, UNSEEN_LOGIT, logs - logs.mean(axis=0)).astype(np.float32)


def _unit_scale(head: Coefficients, logits: FloatMatrix) -> Coefficients:
    """Return the head with logits that differ by 1 on average, so that each round counts the same in the mean.

    The constant of a label without an example does not count, and stays.
    """
    learned = head.bias != UNSEEN_LOGIT
    spread = float(np.abs(logits[:, learned] - logits[:, learned].mean(axis=1, keepdims=True)).mean()) or 1.0
    return Coefficients(head.weight / np.float32(spread), np.where(learned, head.bias / np.float32(spread), head.bias))


def _mean(heads: Sequence[Coefficients]) -> Coefficients:
    return Coefficients(
        np.mean([head.weight for head in heads], axis=0), np.mean([head.bias for head in heads], axis=0)
    )


def _scale(logits: FloatMatrix, confidence: float) -> float:
    """Return the factor of the logits with which the mean probability of the predicted label is ``confidence``."""
    least = 1.0 / logits.shape[1]
    wanted: float = min(max(confidence, least + 0.01), 0.99)

    def missing(log_scale: float) -> float:
        confidences = softmax(np.float32(np.exp(log_scale)) * logits).max(axis=1)
        return float(confidences.mean()) - wanted

    low, high = _LOG_SCALES
    if missing(low) >= 0 or missing(high) <= 0:
        return 1.0
    found: float = brentq(missing, low, high, xtol=1e-3)
    return float(np.exp(found))


@dataclass(frozen=True, slots=True, eq=False)
class _Space:
    """Coordinates with the texts' mean in the origin and a mean squared length of one: strengths are meant for these.

    Embeddings of one encoder share a large common part, which would be penalised as if it told classes apart.
    """

    mean: FloatVector
    length: np.float32

    @classmethod
    def of(cls, vectors: FloatMatrix) -> _Space:
        mean = vectors.mean(axis=0)
        return cls(mean, np.float32(np.sqrt(((vectors - mean) ** 2).sum(axis=1).mean()) or 1.0))

    def inside(self, vectors: FloatMatrix) -> FloatMatrix:
        return np.asarray((vectors - self.mean) / self.length, dtype=np.float32)

    def outside(self, head: Coefficients, scale: float) -> tuple[FloatMatrix, FloatVector]:
        """Return weight and bias for vectors outside, with logits times ``scale``."""
        weight = np.asarray(head.weight * scale / self.length, dtype=np.float32)
        return weight, np.asarray(head.bias * scale - weight @ self.mean, dtype=np.float32)
