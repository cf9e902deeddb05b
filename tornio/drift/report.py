"""What differs between live texts and the hold-out, by how much, and whether that is an alarm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tornio.arrays import DoubleArray, IntArray
from tornio.drift.accuracy import Estimate, confidence_error, estimated_accuracy
from tornio.drift.counts import CONFIDENCE_BINS, Counts
from tornio.drift.distances import DEVIATIONS, Distance, chance, farthest, shares, total_variation, wasserstein
from tornio.drift.label_shift import estimated_mix
from tornio.drift.reference import Reference

MIN_TEXTS = 100
"""Texts that a window must have before it is compared. Default 100: with fewer, only changes of a quarter show."""
MIN_HOLDOUT = 30
"""Labelled hold-out texts that a comparison needs."""
MIN_OF_LABEL = 5
"""Labelled hold-out texts of each label that the estimate of the true labels needs. Default 5: where a label has fewer,
nothing says how often the version takes it for another, and its live texts would count as those of other labels."""
_NAMED = 3
"""Most labels that a sentence names."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One difference. ``size``: the effect. ``threshold``: from which size on it is an alarm. ``chance``: the size that
    chance alone hardly exceeds with so many texts; below it there is no alarm. ``says``: it in words."""

    measure: str
    size: float
    threshold: float
    chance: float
    says: str

    @property
    def alarm(self) -> bool:
        """Whether the effect is large, and larger than chance."""
        return round(self.size, 9) >= self.threshold and self.size > self.chance


@dataclass(frozen=True, slots=True)
class Drift:
    """Live texts compared with the hold-out. ``accuracy``: estimated. ``labels``: the estimated shares of the true
    labels; empty where texts may have several, or where a label has too few texts in the hold-out."""

    texts: int
    effects: tuple[Effect, ...]
    accuracy: Estimate | None
    labels: Mapping[str, float]

    @property
    def alarms(self) -> tuple[Effect, ...]:
        """The effects that are alarms."""
        return tuple(effect for effect in self.effects if effect.alarm)


@dataclass(frozen=True, slots=True)
class Measure:
    """A way to compare two counts.

    ``histogram``: of counts, int64 [bins], or several, int64 [histograms, bins]. ``unit``: what a distance of 1 is in
    the unit of ``threshold``. ``says``: the sentence, from live counts and the shares of both.
    """

    name: str
    what: str
    histogram: Callable[[Counts], IntArray]
    distance: Distance
    unit: float
    threshold: float
    says: Callable[[Counts, DoubleArray, DoubleArray], str]


def compare(live: Counts, held: Reference) -> Drift | None:
    """Return what differs between live texts and the hold-out; None where either has too few texts to say.

    Both counts must have the same labels in the same order.
    """
    if live.texts < MIN_TEXTS or held.counts.texts < MIN_HOLDOUT:
        return None
    measures = SEVERAL if held.confusion is None else MEASURES
    effects = [found for one in measures if (found := _effect(one, live, held.counts)) is not None]
    labels = {}
    if held.confusion is not None and held.confusion.sum(axis=1).min() >= MIN_OF_LABEL:
        labels = dict(zip(live.labels, estimated_mix(held.confusion, live.given).tolist(), strict=True))
    return Drift(live.texts, (*effects, _accuracy(live, held)), estimated_accuracy(live, held), labels)


def _effect(measure: Measure, live: Counts, held: Counts) -> Effect | None:
    one, other = measure.histogram(live), measure.histogram(held)
    if not one.sum() or not other.sum():
        return None
    ours, theirs = shares(one), shares(other)
    return Effect(
        measure.name,
        float(measure.distance(ours, theirs)) * measure.unit,
        measure.threshold,
        chance(measure.distance, one, other) * measure.unit,
        measure.says(live, ours, theirs),
    )


def _accuracy(live: Counts, held: Reference) -> Effect:
    """The fall of the estimated accuracy. Both sides are calibrated alike, so it is that of the mean confidence."""
    before, now = held.score, estimated_accuracy(live, held)
    return Effect(
        ACCURACY,
        held.counts.mean_confidence - live.mean_confidence,
        ACCURACY_THRESHOLD,
        DEVIATIONS * confidence_error(live, held.counts),
        f"estimated accuracy: {before:.2f} -> {now.value if now else before:.2f}",
    )


def _moved(live: Counts, ours: DoubleArray, theirs: DoubleArray) -> str:
    names: Sequence[str] = (*live.labels, "no label")
    largest = np.argsort(-np.abs(ours - theirs), kind="stable")[:_NAMED]
    changes = [f"{names[i]} {theirs[i]:.2f} -> {ours[i]:.2f}" for i in largest if abs(ours[i] - theirs[i]) >= 0.005]
    return f"label mix: {', '.join(changes)}" if changes else "label mix: as in the hold-out"


def _mean(shares_of: DoubleArray, values: DoubleArray) -> float:
    return float(shares_of @ values)


def _surer(_: Counts, ours: DoubleArray, theirs: DoubleArray) -> str:
    middles = (np.arange(CONFIDENCE_BINS) + 0.5) / CONFIDENCE_BINS
    return f"confidence: mean {_mean(theirs, middles):.2f} -> {_mean(ours, middles):.2f}"


def _longer(_: Counts, ours: DoubleArray, theirs: DoubleArray) -> str:
    doublings = np.arange(len(ours), dtype=np.float64)
    factor = 2 ** (_mean(ours, doublings) - _mean(theirs, doublings))
    return f"length of texts: {factor:.1f} times that of the hold-out"


def _share(what: str) -> Callable[[Counts, DoubleArray, DoubleArray], str]:
    return lambda _, ours, theirs: f"{what}: {theirs[1]:.2f} -> {ours[1]:.2f}"


def _cut(counts: Counts) -> IntArray:
    return np.array([counts.texts - counts.truncated, counts.truncated])


def _unknown(counts: Counts) -> IntArray:
    return np.array([counts.read - counts.unknown, counts.unknown])


ACCURACY = "accuracy"
ACCURACY_THRESHOLD = 0.05
_OF_ALL: Sequence[Measure] = (
    Measure(
        "confidence", "mean distance by which the confidence of texts has moved",
        lambda counts: counts.confidence, wasserstein, 1.0 / CONFIDENCE_BINS, 0.05, _surer,
    ),
    Measure(
        "length", "mean number of doublings by which the length of texts has moved",
        lambda counts: counts.lengths, wasserstein, 1.0, 0.5, _longer,
    ),
    Measure(
        "truncated", "change of the share of texts of which the model reads only the beginning",
        _cut, total_variation, 1.0, 0.1, _share("truncated texts"),
    ),
    Measure(
        "unknown", "change of the share of texts with a token that the model does not know",
        _unknown, total_variation, 1.0, 0.1, _share("texts with unknown tokens"),
    ),
)  # fmt: skip
MEASURES: Sequence[Measure] = (
    Measure(
        "label-mix", "share of texts that would need another predicted label to restore the hold-out's mix",
        lambda counts: counts.mix, total_variation, 1.0, 0.1, _moved,
    ),
    *_OF_ALL,
)  # fmt: skip
"""What is compared beside the estimated accuracy, in the order of status and docs/drift.md."""
SEVERAL: Sequence[Measure] = (
    Measure(
        "label-mix", "largest change of the share of texts with a certain label, or with none",
        lambda counts: counts.each, farthest, 1.0, 0.1,
        lambda counts, ours, theirs: _moved(counts, ours[:, 1], theirs[:, 1]),
    ),
    *_OF_ALL,
)  # fmt: skip
"""The same where a text may have several labels. Then labels may come together: their shares of all labels given can
stay while those of the texts change."""
