"""The charts of a task's page as inline SVG. Each says what it shows, and a table beside it has its numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

from markupsafe import Markup

from tornio.svg import Scale, line, picture, text, ticks

WIDTH, HEIGHT = 640, 280
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 14, 52


@dataclass(frozen=True, slots=True)
class Point:
    """``says``: what is shown to whoever points at it. ``interval``: ends of a band around the curve."""

    x: float
    y: float
    says: str
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """``number``: its colour and its dashes in the style sheet, from 0."""

    name: str
    points: Sequence[Point]
    number: int = 0


@dataclass(frozen=True, slots=True)
class Axes:
    """What the axes are called, and how a value of the vertical one is written.

    ``levels``: horizontal lines for comparison, each with its name and value.
    """

    x: str
    y: str
    written: Callable[[float], str]
    levels: Sequence[tuple[str, float]] = field(default=())


def curves(drawn: Sequence[Curve], axes: Axes) -> Markup | None:
    """Draw curves over a number of labels. Return None if none has a point."""
    drawn = [curve for curve in drawn if curve.points]
    if not drawn:
        return None
    x_ticks, y_ticks = _x_ticks(drawn), _y_ticks(drawn, axes)
    x_of = Scale((x_ticks[0], x_ticks[-1]), (LEFT, WIDTH - RIGHT))
    y_of = Scale((y_ticks[0], y_ticks[-1]), (HEIGHT - BOTTOM, TOP))
    parts = [_grid(y_of(tick), axes.written(tick)) for tick in y_ticks]
    parts += [text(x_of(tick), HEIGHT - BOTTOM + 20, f"{tick:,.0f}", "middle") for tick in x_ticks]
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, axes.x, "middle"))
    for name, level in axes.levels:
        parts.append(line("level", (LEFT, WIDTH - RIGHT), (y_of(level), y_of(level))))
        parts.append(text(LEFT + 6, y_of(level) - 6, f"{name}: {axes.written(level)}", "start"))
    parts += [_curve(curve, x_of, y_of) for curve in drawn]
    return picture(WIDTH, HEIGHT, _says(drawn, axes), parts)


def bar(share: float, also: float = 0.0) -> Markup:
    """Draw a share as a bar, and inside its end the part ``also``. A number beside it says the same."""
    inner = f'<rect class="also" x="{_percent(share - also)}" width="{_percent(also)}" height="100%"/>' if also else ""
    whole = f'<rect width="{_percent(share)}" height="100%"/>'
    return Markup(f'<svg class="share" aria-hidden="true" focusable="false">{whole}{inner}</svg>')  # numbers alone


def range_bar(score: float, interval: tuple[float, float] | None) -> Markup:
    """Draw a score with its interval on an axis from 0 to 1. A number beside it says the same."""
    low, high = interval or (score, score)
    band = f'<rect x="{_percent(low)}" width="{_percent(high - low)}" height="100%"/>'
    mark = f'<circle cx="{_percent(score)}" cy="50%" r="4"/>'
    return Markup(f'<svg class="share range" aria-hidden="true" focusable="false">{band}{mark}</svg>')  # numbers alone


def _curve(curve: Curve, x_of: Scale, y_of: Scale) -> str:
    path = " ".join(f"{x_of(point.x):.1f},{y_of(point.y):.1f}" for point in curve.points)
    ends = [(point.x, point.interval) for point in curve.points if point.interval is not None]
    high = [(x, interval[1]) for x, interval in ends]
    low = [(x, interval[0]) for x, interval in reversed(ends)]
    around = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in [*high, *low])
    band = f'<polygon class="around" points="{around}"/>' if ends else ""
    dots = "".join(
        f'<circle cx="{x_of(one.x):.1f}" cy="{y_of(one.y):.1f}" r="3.5"><title>{escape(one.says)}</title></circle>'
        for one in curve.points
    )
    return f'<g class="c{curve.number}">{band}<polyline class="curve" points="{path}"/>{dots}</g>'


def _x_ticks(drawn: Sequence[Curve]) -> list[float]:
    return ticks(0, max(point.x for curve in drawn for point in curve.points) or 1, 6)


def _y_ticks(drawn: Sequence[Curve], axes: Axes) -> list[float]:
    values = [level for _, level in axes.levels]
    for curve in drawn:
        for point in curve.points:
            values += [point.y, *(point.interval or ())]
    low, high = min(values), max(values)
    found = ticks(low, high if high > low else low + 0.1, 5)
    return found if high > 1 or low < 0 else [tick for tick in found if 0 <= tick <= 1]


def _grid(y: float, written: str) -> str:
    return line("grid", (LEFT, WIDTH - RIGHT), (y, y)) + text(LEFT - 10, y + 5, written, "end")


def _says(drawn: Sequence[Curve], axes: Axes) -> str:
    ends = "; ".join(f"{curve.name} ends at {axes.written(curve.points[-1].y)}" for curve in drawn)
    return f"{axes.y} over {axes.x}: {ends}. The table below has all numbers."


def _percent(share: float) -> str:
    return f"{100 * min(max(share, 0.0), 1.0):.1f}%"
