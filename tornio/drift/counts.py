"""Counts of the texts that a version answered. They hold no text, and add up over batches, replicas and windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tornio.arrays import BoolVector, DoubleArray, FloatMatrix, IntArray
from tornio.models.port import Reading
from tornio.schemas.live import TextCounts

CONFIDENCE_BINS = 50
"""Equal bins of [0, 1]. Fine enough for a shift of one hundredth, and small in a document."""
LENGTH_BINS = 20
"""Bins of lengths, each twice as wide as the one before. The last one has all texts of 262,144 characters and more."""


@dataclass(frozen=True, slots=True)
class Counts:
    """See ``TextCounts``, whose numbers these are. ``given``: int64 [labels], how often each of ``labels`` was given;
    ``confidence``: int64 [CONFIDENCE_BINS]; ``lengths``: int64 [LENGTH_BINS]."""

    labels: tuple[str, ...]
    texts: int
    given: IntArray
    unlabelled: int
    confidence: IntArray
    confidence_sum: float
    confidence_squares: float
    lengths: IntArray
    truncated: int
    read: int
    unknown: int
    tokens: int

    def __add__(self, other: Counts) -> Counts:
        """Return the counts of both. Raises ValueError for other labels, which no two counts of a version have."""
        if self.labels != other.labels:
            raise ValueError(f"counts of the labels {self.labels} and {other.labels} cannot be added")
        return Counts(
            self.labels,
            self.texts + other.texts,
            self.given + other.given,
            self.unlabelled + other.unlabelled,
            self.confidence + other.confidence,
            self.confidence_sum + other.confidence_sum,
            self.confidence_squares + other.confidence_squares,
            self.lengths + other.lengths,
            self.truncated + other.truncated,
            self.read + other.read,
            self.unknown + other.unknown,
            self.tokens + other.tokens,
        )

    @property
    def mix(self) -> IntArray:
        """int64 [labels + 1]: how often each label was given, and at the end the texts without one."""
        return np.append(self.given, self.unlabelled)

    @property
    def each(self) -> IntArray:
        """int64 [labels + 1, 2]: the texts without and with each label, and at the end those with and without any."""
        return np.stack([self.texts - self.mix, self.mix], axis=1)

    @property
    def mean_confidence(self) -> float:
        """0.0 without texts."""
        return self.confidence_sum / self.texts if self.texts else 0.0

    @property
    def part(self) -> TextCounts:
        """The same counts as a part of a document."""
        return TextCounts(
            texts=self.texts,
            labels=dict(zip(self.labels, self.given.tolist(), strict=True)),
            unlabelled=self.unlabelled,
            confidence=tuple(self.confidence.tolist()),
            confidence_sum=self.confidence_sum,
            confidence_squares=self.confidence_squares,
            lengths=tuple(self.lengths.tolist()),
            truncated=self.truncated,
            read=self.read,
            unknown=self.unknown,
            tokens=self.tokens,
        )

    @classmethod
    def of(cls, part: TextCounts, labels: Sequence[str] | None = None) -> Counts:
        """Return counts that were stored, with these labels in this order. Default: all of them, sorted by name."""
        names = tuple(sorted(part.labels)) if labels is None else tuple(labels)
        return cls(
            names,
            part.texts,
            np.array([part.labels.get(name, 0) for name in names], dtype=np.int64),
            part.unlabelled,
            _fitted(part.confidence, CONFIDENCE_BINS),
            part.confidence_sum,
            part.confidence_squares,
            _fitted(part.lengths, LENGTH_BINS),
            part.truncated,
            part.read,
            part.unknown,
            part.tokens,
        )


def count(
    labels: Sequence[str],
    chosen: Sequence[Sequence[str]],
    confidence: DoubleArray,
    texts: Sequence[str],
    truncated: BoolVector,
    reading: Reading | None,
) -> Counts:
    """Count texts that were answered.

    ``labels``: of the model. ``chosen``: the labels of each text. ``confidence``: see ``confidence_of``.
    ``truncated``: of each text. ``reading``: None where tokens were not counted.
    """
    column = {name: position for position, name in enumerate(labels)}
    given = [column[name] for row in chosen for name in row]
    bins = np.minimum((confidence * CONFIDENCE_BINS).astype(np.int64), CONFIDENCE_BINS - 1)
    lengths = np.array([min(len(text).bit_length(), LENGTH_BINS - 1) for text in texts], dtype=np.int64)
    return Counts(
        tuple(labels),
        len(texts),
        np.bincount(np.array(given, dtype=np.int64), minlength=len(labels)),
        sum(not row for row in chosen),
        np.bincount(bins, minlength=CONFIDENCE_BINS),
        float(confidence.sum()),
        float(confidence @ confidence),
        np.bincount(lengths, minlength=LENGTH_BINS),
        int(np.count_nonzero(truncated)),
        0 if reading is None else len(texts),
        0 if reading is None else int(np.count_nonzero(reading.unknown)),
        0 if reading is None else int(reading.tokens.sum()),
    )


def confidence_of(
    probabilities: FloatMatrix, labels: Sequence[str], multi_label: bool, thresholds: Mapping[str, float]
) -> DoubleArray:
    """Return the probability, by the model, that all labels of a text are right: float64 [n].

    With one label per text it is the largest probability. With several, it is the product over the labels of the
    probability of what was decided, as if the labels of a text were independent.
    """
    stated = probabilities.astype(np.float64)
    if not multi_label:
        return np.asarray(np.clip(stated.max(axis=1, initial=0.0), 0.0, 1.0))
    least = np.array([thresholds.get(name, 0.5) for name in labels])
    return np.asarray(np.where(probabilities >= least, stated, 1.0 - stated).prod(axis=1))


def _fitted(stored: Sequence[int], bins: int) -> IntArray:
    """Return stored bins. A later release may have more of them: the last one takes the rest."""
    counts = np.zeros(bins, dtype=np.int64)
    np.add.at(counts, np.minimum(np.arange(len(stored)), bins - 1), np.array(stored, dtype=np.int64))
    return counts
