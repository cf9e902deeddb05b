"""A plot with two logarithmic axes as an SVG file, in colours that both a light and a dark page show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

WIDTH, HEIGHT = 800, 420
LEFT, RIGHT, TOP, BOTTOM = 76, 210, 20, 56
COLOURS = ("#2f6fbb", "#c2571a", "#2e8b57", "#8e5bb5")


@dataclass(frozen=True, slots=True)
class Curve:
    """Points (x, y), of which the first ``measured`` were measured. The others are extrapolated: dashed and hollow."""

    name: str
    points: Sequence[tuple[float, float]]
    measured: int


def plot(curves: Sequence[Curve], title: str, across: str, up: str, bar: tuple[str, float]) -> str:
    """Draw the curves. ``bar``: name and height of a line across the plot."""
    xs = [x for curve in curves for x, _ in curve.points]
    ys = [y for curve in curves for _, y in curve.points] + [bar[1]]
    x_low, x_high = _powers(xs)
    y_low, y_high = _powers(ys)

    def at(x: float, y: float) -> tuple[float, float]:
        right = (math.log10(x) - x_low) / (x_high - x_low)
        high = (math.log10(y) - y_low) / (y_high - y_low)
        return LEFT + right * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - high * (HEIGHT - TOP - BOTTOM)

    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>']
    for power in range(y_low, y_high + 1):
        _, y = at(10**x_low, 10**power)
        parts.append(_line((LEFT, y), (WIDTH - RIGHT, y), "#d8dde3"))
        parts.append(_text(LEFT - 8, y + 4, _power(power), "end"))
    for power in range(x_low, x_high + 1):
        x, _ = at(10**power, 10**y_low)
        parts.append(_text(x, HEIGHT - BOTTOM + 20, _power(power), "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, across, "middle"))
    parts.append(_text(LEFT, TOP - 6, up, "start"))
    _, y = at(10**x_low, bar[1])
    parts.append(_line((LEFT, y), (WIDTH - RIGHT, y), "#b00020", "2 4"))
    parts.append(_text(WIDTH - RIGHT + 8, y + 4, bar[0], "start", "#b00020"))
    for curve, colour in zip(curves, COLOURS, strict=False):
        parts += _curve(curve, [at(*point) for point in curve.points], colour)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}" font-family="sans-serif" font-size="13">{"".join(parts)}</svg>\n'
    )


def _curve(curve: Curve, places: Sequence[tuple[float, float]], colour: str) -> list[str]:
    known, parts = curve.measured, []
    for number, (start, end) in enumerate(pairwise(places)):
        parts.append(_line(start, end, colour, "" if number + 1 < known else "6 4", 2))
    for number, (x, y) in enumerate(places):
        fill = colour if number < known else "#ffffff"
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{colour}" stroke-width="2"/>')
    x, y = places[-1]
    parts.append(_text(x + 10, y + 4, curve.name, "start", colour))
    return parts


def _powers(values: Sequence[float]) -> tuple[int, int]:
    return math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))


def _power(power: int) -> str:
    return f"{10**power:,}" if 0 <= power < 4 else f"10{''.join(_RAISED[c] for c in str(power))}"


_RAISED = dict(zip("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹", strict=True))


def _line(start: tuple[float, float], end: tuple[float, float], colour: str, dashes: str = "", width: int = 1) -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" stroke="{colour}" '
        f'stroke-width="{width}"{dashed}/>'
    )


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#30363d") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
