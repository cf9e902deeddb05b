"""``demo-report.html``: one page, without scripts and without anything from outside, that tells what a run saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from examples.support import chart, story
from examples.support.story import Point, Story
from tornio import __version__
from tornio.api import CurvePoint, Swap

HERE = Path(__file__).parent


def render(told: Story, now: datetime | None = None) -> str:
    """The page. Every text from outside is escaped by the template."""
    templates = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    templates.filters |= {"percent": percent, "seconds": seconds}
    counts = story.confusion(told)
    rows = [(label, row, max(sum(row), 1)) for label, row in zip(told.status.labels, counts, strict=True)]
    holdout = last_judged(told)
    return templates.get_template("report.html.j2").render(
        story=told,
        status=told.status,
        curve=_curve(told),
        beside=beside(told),
        classes=story.per_class(told),
        confusion=rows,
        swaps=list(_swap_rows(told)),
        surest=story.surest_errors(told),
        closest=story.closest_calls(told),
        holdout=holdout,
        judged=_judged(told, holdout),
        now=now or datetime.now(UTC),
        release=__version__,
    )


def percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def seconds(value: float | None) -> str:
    """``0.42 s``, ``8.1 s``, ``190 s``: three figures."""
    if value is None:
        return "–"
    return f"{value:.0f} s" if value >= 100 else f"{value:.1f} s" if value >= 10 else f"{value:.2f} s"


def beside(told: Story) -> tuple[int, float, float] | None:
    """After the last iteration that both lines reached: labels, accuracy of the strategy, that of random sampling."""
    if not (told.points and told.random):
        return None
    last = min(told.points[-1].iteration, told.random[-1].iteration)
    chosen = [point for point in told.points if point.iteration <= last]
    random = [point for point in told.random if point.iteration <= last]
    return (chosen[-1].labels, chosen[-1].accuracy, random[-1].accuracy) if chosen and random else None


def last_judged(told: Story) -> CurvePoint | None:
    """What the gate saw of the last version that serves."""
    last = told.points[-1].version if told.points else None
    return next((point for point in told.status.curve if point.version == last), None)


def _curve(told: Story) -> Markup:
    lines = [
        chart.Line(told.strategy.replace("-", " "), "chosen", _dots(told.points)),
        chart.Line("random", "random", _dots(told.random)),
    ]
    floor = None if told.zero_shot is None else ("no labels: zero-shot", told.zero_shot)
    return chart.learning_curve(lines, floor)


def _dots(points: Sequence[Point]) -> list[tuple[float, float, str]]:
    return [
        (point.labels, point.accuracy, f"{point.version}: {percent(point.accuracy)} with {point.labels} labels")
        for point in points
    ]


def _judged(told: Story, holdout: CurvePoint | None) -> Markup:
    seen = (None, None) if holdout is None else (holdout.accuracy, holdout.interval)
    n = 0 if holdout is None else holdout.holdout or 0
    return chart.intervals(
        [
            (f"hold-out ({n})", "random", *seen),
            (f"test split ({len(told.answers)})", "chosen", told.accuracy, told.interval),
        ]
    )


def _swap_rows(told: Story) -> Iterator[tuple[Swap, CurvePoint | None]]:
    """Moves of `current`, oldest first, each with the iteration that trained the version."""
    trained = {point.version: point for point in told.status.curve}
    for swap in reversed(told.status.swaps):
        yield swap, trained.get(swap.version)
