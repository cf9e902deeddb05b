"""Charts of the report as inline SVG: pure functions from numbers to markup, coloured by the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

WIDTH, HEIGHT = 800, 400
LEFT, RIGHT, TOP, BOTTOM = 66, 172, 16, 58
"""Margins. The right one holds the names of the lines."""
APART = 48
"""Smallest distance between the names of two lines."""


@dataclass(frozen=True, slots=True)
class Dot:
    """A measured version: its number of labels, its accuracy with an interval, and the text of the tooltip."""

    x: float
    y: float
    interval: tuple[float, float]
    what: str


@dataclass(frozen=True, slots=True)
class Line:
    """A named line; ``style`` is a class of the style sheet."""

    name: str
    style: str
    dots: Sequence[Dot]


def ticks(low: float, high: float, about: int) -> list[float]:
    """Return about ``about`` round numbers that cover ``low`` to ``high``: steps of 1, 2 or 5 times a power of ten."""
    raw = max(high - low, 1e-9) / about
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def learning_curve(lines: Sequence[Line], floor: tuple[str, float] | None = None) -> Markup:
    """Draw accuracy over the number of labels, with a band for the intervals.

    ``floor``: name and value of a horizontal line for comparison.
    """
    lines = [line for line in lines if line.dots]
    values = [dot.interval[0] for line in lines for dot in line.dots] + ([floor[1]] if floor else [])
    if not values:
        return Markup("<p>No version was served.</p>")
    x_ticks = ticks(0, max(dot.x for line in lines for dot in line.dots), 6)
    y_ticks = ticks(min(values), 1.0, 5)
    y_ticks = [tick for tick in y_ticks if 0 <= tick <= 1]
    x_of = _Scale((x_ticks[0], x_ticks[-1]), (LEFT, WIDTH - RIGHT))
    y_of = _Scale((y_ticks[0], y_ticks[-1]), (HEIGHT - BOTTOM, TOP))
    parts: list[str] = []
    for tick in y_ticks:
        y = y_of(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(LEFT - 10, y + 5, f"{100 * tick:.0f} %", "tick", "end"))
    parts += [_text(x_of(tick), HEIGHT - BOTTOM + 24, f"{tick:.0f}", "tick", "middle") for tick in x_ticks]
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(_text(middle, HEIGHT - 8, "labels given, hold-out included", "axis", "middle"))
    if floor:
        name, y = floor[0], y_of(floor[1])
        parts.append(f'<line class="floor" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(WIDTH - RIGHT - 6, y - 8, f"{name} {_percent(floor[1])}", "tick", "end"))
    places = spread([y_of(line.dots[-1].y) for line in lines], APART, TOP + 12, HEIGHT - BOTTOM - 12)
    for line, place in zip(lines, places, strict=True):
        parts += _curve(line, x_of, y_of, place)
    title = "Learning curve: " + "; ".join(f"{line.name} ends at {_percent(line.dots[-1].y)}" for line in lines)
    return Markup(  # every text in it was escaped
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def _curve(line: Line, x_of: _Scale, y_of: _Scale, name_y: float) -> list[str]:
    def place(points: Iterable[tuple[float, float]]) -> str:
        return " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in points)

    path = place((dot.x, dot.y) for dot in line.dots)
    ends = [(dot.x, dot.interval[0]) for dot in line.dots] + [(dot.x, dot.interval[1]) for dot in reversed(line.dots)]
    band = f'<polygon class="{escape(line.style)} band" points="{place(ends)}"/>'
    dots = [
        f'<circle cx="{x_of(dot.x):.1f}" cy="{y_of(dot.y):.1f}" r="4"><title>{escape(dot.what)}</title></circle>'
        for dot in line.dots
    ]
    x, y = line.dots[-1].x, line.dots[-1].y
    left = WIDTH - RIGHT + 16
    lead = f'<path class="lead" d="M{x_of(x) + 7:.1f},{y_of(y):.1f} L{left - 4:.1f},{name_y:.1f}"/>'
    name = _text(left, name_y + 1, line.name, "name", "start") + _text(
        left, name_y + 21, f"{_percent(y)} at {x:.0f}", "tick", "start"
    )
    return [f'{band}<g class="{escape(line.style)}">{lead}<polyline points="{path}"/>{"".join(dots)}{name}</g>']


def intervals(rows: Iterable[tuple[str, str, float | None, tuple[float, float] | None]]) -> Markup:
    """Draw one row per (name, style, figure, interval) on a common axis from 0 to 100 %."""
    rows = list(rows)
    height, left, right = 44 + 46 * len(rows), 190, 60
    x_of = _Scale((0.0, 1.0), (left, WIDTH - right))
    parts = []
    for tick in (0, 0.2, 0.4, 0.6, 0.8, 1.0):
        x = x_of(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="6" y2="{height - 30}"/>')
        parts.append(_text(x, height - 8, f"{100 * tick:.0f} %", "tick", "middle"))
    for number, (name, style, figure, interval) in enumerate(rows):
        y = 28 + 46 * number
        parts.append(_text(left - 14, y + 5, name, "name", "end"))
        if interval is not None:
            low, high = map(x_of, interval)
            parts.append(f'<rect class="{style} band" x="{low:.1f}" y="{y - 8}" width="{high - low:.1f}" height="16"/>')
        if figure is not None:
            parts.append(f'<g class="{style}"><circle cx="{x_of(figure):.1f}" cy="{y}" r="6"/></g>')
        else:
            parts.append(_text(left + 8, y + 5, "not measured", "tick", "start"))
    label = "; ".join(f"{name}: {_percent(figure)}" for name, _, figure, _ in rows if figure is not None)
    return Markup(  # every text in it was escaped
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def spread(wanted: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """Return positions near the wanted ones, at least ``apart`` from each other and between ``low`` and ``high``."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed: dict[int, float] = {}
    least = low
    for i in order:
        placed[i] = max(wanted[i], least)
        least = placed[i] + apart
    most = high
    for i in reversed(order):
        placed[i] = min(placed[i], most)
        most = placed[i] - apart
    return [placed[i] for i in range(len(wanted))]


class _Scale:
    """A linear scale from data to the drawing."""

    def __init__(self, data: tuple[float, float], drawing: tuple[float, float]) -> None:
        self._data, self._drawing = data, drawing

    def __call__(self, value: float) -> float:
        (a, b), (low, high) = self._data, self._drawing
        return low + (value - a) / ((b - a) or 1) * (high - low)


def _text(x: float, y: float, text: str, style: str, anchor: str) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
