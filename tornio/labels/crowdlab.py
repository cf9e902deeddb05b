"""CROWDLAB: consensus labels of several annotators and a classifier, each trusted as far as it was right.

Source: Goh, Tkachenko and Mueller (2022), "CROWDLAB: Supervised learning to infer consensus labels and quality scores
for data with multiple annotators", section 3. Pure functions of arrays. Each text has one label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tornio.arrays import BoolMatrix, DoubleArray, FloatMatrix, IntArray
from tornio.errors import InvalidInput

_LEAST = 1e-6
"""Least weight, and least error of the baseline that always answers the most frequent label; as in cleanlab."""


@dataclass(frozen=True, slots=True, eq=False)
class Consensus:
    """``posterior``: float64 [n, labels], the probability of each label. ``labels``: int64 [n], the most probable ones.

    ``annotator_weights``: float64 [annotators]. ``model_weight``: that of the classifier. Someone who is always right
    has the weight 1.
    """

    posterior: DoubleArray
    labels: IntArray
    annotator_weights: DoubleArray
    model_weight: float


def crowdlab(votes: IntArray, probabilities: FloatMatrix) -> Consensus:
    """Return the consensus of annotators and classifier.

    ``votes``: int64 [n, annotators], the column of the label that each annotator chose; -1 where there is no answer.
    ``probabilities``: float32 [n, labels], by classifiers that did not see the rows' own labels.

    The posterior of a row is a weighted mean of the classifier's probabilities and of one distribution for each vote. A
    vote gives its label the share of all votes that agree with a majority, and divides the rest among the other labels.
    A weight is 1 less the error, relative to the error of one who always answers the most frequent label. Annotators
    err where they disagree with each other, and the classifier where it disagrees with a majority.

    Deviations from the paper: an annotator who has no row in common with others has the mean agreement of the others,
    as in cleanlab. Where several labels have the most votes and the classifier finds them exactly as probable, the
    first one counts; cleanlab goes on to other rules and at last draws one.

    Raises InvalidInput where no row has two votes, a row has none, or there are fewer than two labels.
    """
    given = votes >= 0
    answers = given.sum(axis=1)
    several = answers > 1
    _check(answers, probabilities)
    model = np.asarray(probabilities, dtype=np.float64)
    counts = _counts(votes, given, model.shape[1])
    majority = np.where(counts == counts.max(axis=1, keepdims=True), model, -1).argmax(axis=1)
    agreed = np.take_along_axis(counts, majority[:, None], axis=1)[:, 0] / answers
    right = float(agreed[several].mean())
    frequent = np.bincount(majority[several]).argmax()
    baseline = max(float((majority[several] != frequent).mean()), _LEAST)
    trust = np.maximum(1 - (1 - _agreement(votes, given, counts)) / baseline, _LEAST)
    error = float((model.argmax(axis=1) != majority)[several].mean())
    weight = max(1 - error / baseline, _LEAST) * float(np.sqrt(answers.mean()))

    posterior = weight * model
    wrong = (1 - right) / (model.shape[1] - 1)
    for column, trusted in zip(votes.T, trust, strict=True):
        rows = np.flatnonzero(column >= 0)
        posterior[rows] += trusted * wrong
        posterior[rows, column[rows]] += trusted * (right - wrong)
    posterior /= (weight + given @ trust)[:, None]
    return Consensus(posterior, _most_probable(posterior, majority), trust, weight)


def _check(answers: IntArray, probabilities: FloatMatrix) -> None:
    silent, labels = int((answers == 0).sum()), probabilities.shape[1]
    if labels < 2 or silent or not (answers > 1).any():
        raise InvalidInput(
            "CROWDLAB needs two labels, an answer for each text, and a text with two answers; it got "
            f"{labels} labels, {silent:,} texts without an answer and {int((answers > 1).sum()):,} with two"
        )


def _counts(votes: IntArray, given: BoolMatrix, labels: int) -> IntArray:
    """Return the votes of each row and label, int64 [n, labels]."""
    counts = np.zeros((len(votes), labels), dtype=np.int64)
    rows, annotators = np.nonzero(given)
    np.add.at(counts, (rows, votes[rows, annotators]), 1)
    return counts


def _agreement(votes: IntArray, given: BoolMatrix, counts: IntArray) -> DoubleArray:
    """Return the share of the other votes on an annotator's rows that are equal to theirs, float64 [annotators]."""
    others = (given.sum(axis=1) - 1) @ given
    same = np.take_along_axis(counts, np.maximum(votes, 0), axis=1) - 1
    equal = np.where(given, same, 0).sum(axis=0)
    met = others > 0
    agreement = np.divide(equal, others, out=np.zeros(len(others)), where=met)
    agreement[~met] = agreement[met].mean()
    return np.asarray(agreement)


def _most_probable(posterior: DoubleArray, majority: IntArray) -> IntArray:
    """Return the most probable label of each row; the majority where it is one of several."""
    best = posterior.max(axis=1)
    tied = np.take_along_axis(posterior, majority[:, None], axis=1)[:, 0] == best
    return np.where(tied, majority, posterior.argmax(axis=1)).astype(np.int64)
