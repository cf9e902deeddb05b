"""The learning curve, and how far the stopping criterion is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from services.gateway.page.charts import Axes, Curve, Point, curves
from services.gateway.page.gather import TaskPage
from services.gateway.page.words import SOURCES, figure, percent, percent_tick, span
from tornio.api import CriterionStatus, CurvePoint, StopStatus, TaskStatus
from tornio.metricnames import shown

ALL = "all hold-out labels"


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """``chart``: the scores; None before the first. ``keys``: the curves of it, by number. ``signals``: the chart of
    the stopping criterion; None without a signal. ``sources``: the curves that have a column of their own."""

    points: Sequence[CurvePoint]
    metric: str
    chart: Markup | None
    keys: Sequence[tuple[int, str]]
    sources: Sequence[tuple[str, str]]
    stop: StopStatus
    criteria: Sequence[CriterionStatus]
    signals: Markup | None


def show(page: TaskPage) -> LearningCurve:
    """Return the curve of the task. Raises PartUnread."""
    status = page.stands.get()
    drawn = list(_scores(status.curve))
    return LearningCurve(
        points=status.curve,
        metric=shown(_metric(status)),
        chart=curves(drawn, Axes("labels that train", shown(_metric(status)).capitalize(), percent_tick)),
        keys=[(one.number, one.name) for one in drawn] if len(drawn) > 1 else [],
        sources=[(name, SOURCES.get(name, name)) for name in _both(status.curve)],
        stop=status.stop,
        criteria=status.stop.criteria,
        signals=_signals(status),
    )


def _scores(points: Sequence[CurvePoint]) -> Iterator[Curve]:
    """Yield the curve on all hold-out labels. Where these come from two sources, also the curve on each of them."""
    both = _both(points)
    alone = {name for point in points for name in point.sources} if not both else set()
    name = SOURCES.get(next(iter(alone)), ALL) if len(alone) == 1 else ALL
    scored = [(point, point.score) for point in points if point.score is not None]
    if not scored:
        return
    yield Curve(
        name,
        [
            Point(point.labels, score, _says(point, score, point.interval, point.holdout), point.interval)
            for point, score in scored
        ],
    )
    for number, source in enumerate(both, 1):
        found = [(point, point.sources[source]) for point in points if source in point.sources]
        yield Curve(
            SOURCES.get(source, source),
            [Point(point.labels, one.score, _says(point, one.score, one.interval, one.n)) for point, one in found],
            number,
        )


def _both(points: Sequence[CurvePoint]) -> list[str]:
    """Return the sources of hold-out labels, where at least one point has several; none otherwise."""
    if not any(len(point.sources) > 1 for point in points):
        return []
    return [name for name in SOURCES if any(name in point.sources for point in points)]


def _says(point: CurvePoint, score: float, interval: tuple[float, float] | None, n: int | None) -> str:
    around = f" (95 %: {span(interval)})" if interval else ""
    return f"{point.version or 'no version'}: {percent(score)}{around} on {n or 0:,} hold-out labels"


def _signals(status: TaskStatus) -> Markup | None:
    found = [(point, point.signal) for point in status.curve if point.signal is not None]
    says = [Point(point.labels, signal, f"{point.version or 'no version'}: {signal:.4f}") for point, signal in found]
    levels = [] if status.stop.threshold is None else [("stops at", status.stop.threshold)]
    axes = Axes("labels that train", f"Signal of {status.stop.criterion}", figure, levels)
    return curves([Curve(status.stop.criterion, says, 3)], axes)


def _metric(status: TaskStatus) -> str:
    return status.curve[-1].metric if status.curve else "accuracy"
