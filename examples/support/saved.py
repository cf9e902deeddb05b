"""What the watched task has saved against the random one: points and labels, with intervals. Pure.

The intervals are about the test messages: how far the figures of these very versions would move with other messages.
Another run asks for other labels. With one run of each task, nothing here can tell how much that changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from examples.support.story import Point
from tornio.arrays import DoubleArray
from tornio.evaluation.interval import CONFIDENCE
from tornio.simulation.summary import isotonic, needed

RESAMPLES = 1000
AS_MANY = 0.9
"""Share of the watched task's labels that counts as as many, because annotators discard a few texts."""
ONE_RUN = (
    "This is one run of each task. The intervals are about the test messages: another run would ask for other labels."
)


@dataclass(frozen=True, slots=True)
class Saved:
    """How the last version of the watched task compares with the random one.

    ``random``: its first version with as many labels, or ``AS_MANY`` of them. ``points``: the difference of the two
    accuracies, with its 95 % interval. ``asked``: labels of the random task at its end. ``labels``: how many more
    labels than the watched task the random one needed for the same accuracy, with its 95 % interval; infinite where it
    never reached it.
    """

    chosen: Point
    random: Point
    points: float
    points_interval: tuple[float, float]
    asked: int
    labels: float
    labels_interval: tuple[float, float]

    @property
    def shown(self) -> bool:
        """Whether the interval of the difference leaves out 0."""
        return self.points_interval[0] > 0 or self.points_interval[1] < 0

    @property
    def most(self) -> int:
        """How many labels can be saved at most, as far as the random task went."""
        return self.asked - self.chosen.labels


def compare(chosen: Sequence[Point], random: Sequence[Point]) -> Saved | None:
    """Compare the arms; None while one of them has no version."""
    if not chosen or not random:
        return None
    last = chosen[-1]
    # A version that was replaced before it was measured is missing. Then a later one, with more labels, stands for it.
    beside = next((point for point in random if point.labels >= AS_MANY * last.labels), random[-1])
    low, high = _labels_interval(last, random)
    return Saved(
        chosen=last,
        random=beside,
        points=last.accuracy - beside.accuracy,
        points_interval=difference_interval(last.right, beside.right),
        asked=random[-1].labels,
        labels=_saved(last.accuracy, last.labels, [point.accuracy for point in random], random),
        labels_interval=(low, high),
    )


def difference_interval(ours: Sequence[bool], theirs: Sequence[bool]) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two accuracies on the same texts.

    Source: Bonett and Price (2012), "Adjusted Wald Confidence Interval for a Difference of Binomial Proportions Based
    on Paired Data".
    """
    pairs = list(zip(ours, theirs, strict=True))
    gained, lost = (
        (sum(pair == one for pair in pairs) + 1) / (len(pairs) + 2) for one in ((True, False), (False, True))
    )
    error = ((gained + lost - (gained - lost) ** 2) / (len(pairs) + 2)) ** 0.5
    half = float(norm.ppf(0.5 + CONFIDENCE / 2)) * error
    return max(-1.0, gained - lost - half), min(1.0, gained - lost + half)


def sentences(saved: Saved, texts: int) -> list[str]:
    """Return what a run closes with, one sentence each. ``texts``: number of test messages."""
    return [
        f"With {saved.chosen.labels} labels, {_percent(saved.chosen)} of the {texts} test messages are classified "
        f"correctly. With {saved.random.labels} labels of messages picked at random and without a teacher, it is "
        f"{_percent(saved.random)}.",
        _points_sentence(saved),
        _labels_sentence(saved),
        ONE_RUN,
    ]


def learned_sentence(first: Point, last: Point) -> str:
    """Return what people's labels have added to the ``first`` version, which a teacher taught."""
    low, high = (100 * end for end in difference_interval(last.right, first.right))
    points = 100 * (last.accuracy - first.accuracy)
    task = f"{last.labels} labels, the watched task"
    if low > 0:
        return f"With {task} is {points:.1f} points above its first version (95 %: {low:.1f} to {high:.1f})."
    if high < 0:
        return f"With {task} is {-points:.1f} points below its first version (95 %: {-high:.1f} to {-low:.1f})."
    return (
        f"That, with {task} is above its first version was not shown: {points:+.1f} points (95 %: {low:+.1f} to "
        f"{high:+.1f}). docs/demo.md says what labels bring on average."
    )


def _points_sentence(saved: Saved) -> str:
    low, high = (100 * end for end in saved.points_interval)
    if not saved.shown:
        return (
            f"No difference was shown: it is {100 * saved.points:+.1f} points, and the 95 % interval, {low:+.1f} to "
            f"{high:+.1f}, covers 0."
        )
    more, ends = ("more", (low, high)) if saved.points > 0 else ("fewer", (-high, -low))
    return f"That is {abs(100 * saved.points):.1f} points {more} (95 %: {ends[0]:.1f} to {ends[1]:.1f})."


def _labels_sentence(saved: Saved) -> str:
    low, high = saved.labels_interval
    interval = f"95 %: {low:.0f} to {high:.0f}" if high < np.inf else f"95 %: at least {min(low, saved.most):.0f}"
    if low <= 0:
        return f"That labels were saved was not shown ({interval})."
    if saved.labels == np.inf and saved.most <= 0:
        return "How many labels that saved is not known, because the random task was not asked for more labels."
    if saved.labels == np.inf:
        return (
            f"The random task did not reach the same accuracy with its {saved.asked} labels, so at least {saved.most} "
            f"labels were saved ({interval})."
        )
    return (
        f"The random task needed {saved.chosen.labels + saved.labels:.0f} labels for the same accuracy, so "
        f"{saved.labels:.0f} labels were saved ({interval})."
    )


def _percent(point: Point) -> str:
    low, high = point.interval
    return f"{100 * point.accuracy:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def _saved(level: float, labels: int, accuracies: Sequence[float] | DoubleArray, random: Sequence[Point]) -> float:
    """Return how many more labels the random task needs for an accuracy, by the closest curve that never falls."""
    scores = isotonic([float(accuracy) for accuracy in accuracies])
    if scores[-1] < level - 1e-12:
        return np.inf
    return needed([point.labels for point in random], scores, level) - labels


def _labels_interval(last: Point, random: Sequence[Point]) -> tuple[float, float]:
    """Return the 95 % interval of the labels saved: percentiles over resampled test messages, paired over versions."""
    right = np.array([last.right, *(point.right for point in random)], dtype=np.float64)
    size = right.shape[1]
    counts = np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), RESAMPLES)
    accuracies = right @ counts.T / size
    found = np.sort([_saved(float(one[0]), last.labels, one[1:], random) for one in accuracies.T])
    tail = round((1 - CONFIDENCE) / 2 * RESAMPLES)
    return float(found[tail]), float(found[-tail - 1])
