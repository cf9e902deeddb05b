"""Learning curves as inline SVG. The style sheet of the page sets their colours, by number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

from tornio.schemas.comparison import Band
from tornio.svg import line, picture, text

WIDTH, HEIGHT = 800, 400
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 14, 50
TICK = 0.1
ROOM = 36
"""Width of a number on the axis."""
Height = Callable[[float], float]
"""From a value to its place on the vertical axis."""


@dataclass(frozen=True, slots=True)
class Line:
    """A point of the curve of this name: ``micro_f1`` with so many labels. None: it has no result."""

    name: str
    size: int
    micro_f1: Band | None


def curves(rows: Sequence[Line], colours: Mapping[str, int], axis: str) -> Markup:
    """Draw micro F1 over the number of labels, on a logarithmic axis, with a band for the interval over seeds.

    A curve whose only size is 0, because it needs no label, is a dashed line over the whole width. ``colours``: the
    number of each name. ``axis``: what the sizes are.
    """
    drawn = [row for row in rows if row.micro_f1 is not None]
    sizes = sorted({row.size for row in drawn if row.size})
    if not drawn or not sizes:
        return Markup("<p>There is no result to draw.</p>")
    floor = _floor(drawn)
    x = {size: _x(size, sizes) for size in sizes}

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value) / (1 - floor)

    parts = [_grid(y(tick), f"{tick:.1f}") for tick in _ticks(floor)]
    parts += [text(x[size], HEIGHT - BOTTOM + 22, f"{size:,}", "middle") for size in _named(sizes, x)]
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, axis, "middle"))
    for name, number in colours.items():
        own = {row.size: row.micro_f1 for row in drawn if row.name == name and row.micro_f1 is not None}
        parts.append(_curve(name, dict(sorted(own.items())), number, x, y))
    return picture(WIDTH, HEIGHT, "Micro F1 over the number of labels", parts)


def _curve(name: str, bands: Mapping[int, Band], number: int, x: Mapping[int, float], y: Height) -> str:
    style = f"c{number}"
    if not bands:
        return ""
    if 0 in bands:  # it needs no label
        level, title = y(bands[0].mean), escape(f"{name}: {bands[0].mean:.3f}")
        return line(f"curve flat {style}", (LEFT, WIDTH - RIGHT), (level, level), f"<title>{title}</title>")
    path = " ".join(f"{x[size]:.1f},{y(band.mean):.1f}" for size, band in bands.items())
    high = [(x[size], band.high) for size, band in bands.items() if band.high is not None]
    low = [(x[size], band.low) for size, band in bands.items() if band.low is not None]
    around = " ".join(f"{at:.1f},{y(value):.1f}" for at, value in [*high, *reversed(low)])
    dots = "".join(
        f'<circle class="{style}" cx="{x[size]:.1f}" cy="{y(band.mean):.1f}" r="4">'
        f"<title>{escape(f'{name}, {size:,}: {band.mean:.3f}')}</title></circle>"
        for size, band in bands.items()
    )
    return f'<polygon class="around {style}" points="{around}"/><polyline class="curve {style}" points="{path}"/>{dots}'


def _named(sizes: Sequence[int], x: Mapping[int, float]) -> list[int]:
    """Return the sizes whose numbers have room on the axis, from the largest down."""
    named: list[int] = []
    for size in reversed(sizes):
        if not named or x[named[-1]] - x[size] >= ROOM:
            named.append(size)
    return named


def _x(size: int, sizes: Sequence[int]) -> float:
    left, right = LEFT + 24, WIDTH - RIGHT - 24
    if len(sizes) == 1:
        return (left + right) / 2
    low, high = math.log(sizes[0]), math.log(sizes[-1])
    return left + (right - left) * (math.log(size) - low) / (high - low)


def _floor(rows: Sequence[Line]) -> float:
    """The tick below the lowest value that is drawn; at most .9, so that there is an axis."""
    lowest = min(band.mean if band.low is None else band.low for row in rows if (band := row.micro_f1))
    return min(0.9, math.floor(lowest / TICK) * TICK)


def _ticks(floor: float) -> list[float]:
    return [floor + TICK * number for number in range(round((1 - floor) / TICK) + 1)]


def _grid(y: float, shown: str) -> str:
    return line("grid", (LEFT, WIDTH - RIGHT), (y, y)) + text(LEFT - 10, y + 5, shown, "end")
