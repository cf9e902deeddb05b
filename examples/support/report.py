"""``demo-report.html``: a report of one run, as a single page without scripts and without external resources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from examples.support import chart, story
from examples.support.saved import RESAMPLES, compare, sentences
from examples.support.story import Point, Story
from tornio import __version__
from tornio.api import CurvePoint, Swap

HERE = Path(__file__).parent


def render(demo: Story, now: datetime | None = None) -> str:
    """Return the page. The template escapes every text from outside."""
    templates = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    templates.filters |= {"percent": percent, "seconds": seconds}
    counts = story.confusion(demo)
    rows = [(label, row, max(sum(row), 1)) for label, row in zip(demo.status.labels, counts, strict=True)]
    holdout, saved = last_judged(demo), compare(demo.points, demo.random)
    return templates.get_template("report.html.j2").render(
        story=demo,
        status=demo.status,
        curve=_curve(demo),
        sentences=sentences(saved, len(demo.answers)) if saved else [],
        resamples=f"{RESAMPLES:,}",
        classes=story.per_class(demo),
        confusion=rows,
        swaps=list(_swap_rows(demo)),
        surest=story.surest_errors(demo),
        closest=story.closest_calls(demo),
        holdout=holdout,
        judged=_judged(demo, holdout),
        now=now or datetime.now(UTC),
        release=__version__,
    )


def percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def seconds(value: float | None) -> str:
    """Format seconds with three significant figures: ``0.42 s``, ``8.1 s``, ``190 s``."""
    if value is None:
        return "–"
    return f"{value:.0f} s" if value >= 100 else f"{value:.1f} s" if value >= 10 else f"{value:.2f} s"


def last_judged(demo: Story) -> CurvePoint | None:
    """Return what the gate measured of the last served version."""
    last = demo.points[-1].version if demo.points else None
    return next((point for point in demo.status.curve if point.version == last), None)


def _curve(demo: Story) -> Markup:
    name = "with a teacher" if demo.taught else demo.strategy.replace("-", " ")
    lines = [
        chart.Line(name, "chosen", _dots(demo.points)),
        chart.Line("at random", "random", _dots(demo.random)),
    ]
    floor = None if demo.zero_shot is None else ("zero-shot teacher", demo.zero_shot)
    return chart.learning_curve(lines, floor)


def _dots(points: Sequence[Point]) -> list[chart.Dot]:
    return [chart.Dot(point.labels, point.accuracy, point.interval, _what(point)) for point in points]


def _what(point: Point) -> str:
    low, high = (percent(end) for end in point.interval)
    return f"{point.version}: {percent(point.accuracy)} (95 %: {low} to {high}) with {point.labels} labels"


def _judged(demo: Story, holdout: CurvePoint | None) -> Markup:
    seen = (None, None) if holdout is None else (holdout.accuracy, holdout.interval)
    n = 0 if holdout is None else holdout.holdout or 0
    return chart.intervals(
        [
            (f"hold-out ({n})", "random", *seen),
            (f"test split ({len(demo.answers)})", "chosen", demo.accuracy, demo.interval),
        ]
    )


def _swap_rows(demo: Story) -> Iterator[tuple[Swap, CurvePoint | None]]:
    """Yield the moves of `current`, oldest first, each with the iteration that trained the version."""
    trained = {point.version: point for point in demo.status.curve}
    for swap in reversed(demo.status.swaps):
        yield swap, trained.get(swap.version)
