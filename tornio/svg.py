"""What drawings as inline SVG have in common: scales, round numbers on axes, escaped texts. Pages set the colours."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear scale from data to the drawing."""

    data: tuple[float, float]
    drawing: tuple[float, float]

    def __call__(self, value: float) -> float:
        (a, b), (low, high) = self.data, self.drawing
        return low + (value - a) / ((b - a) or 1) * (high - low)


def ticks(low: float, high: float, about: int) -> list[float]:
    """Return about ``about`` round numbers that cover ``low`` to ``high``: steps of 1, 2 or 5 times a power of ten."""
    raw = max(high - low, 1e-9) / about
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def text(x: float, y: float, content: str, anchor: str, style: str = "") -> str:
    """Return a text. ``anchor``: start, middle or end. ``style``: a class of the style sheet."""
    named = f' class="{escape(style)}"' if style else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'


def line(style: str, x: tuple[float, float], y: tuple[float, float], inner: str = "") -> str:
    """Return a straight line between two points. ``inner``: markup in it, such as a title."""
    ends = f'x1="{x[0]:.1f}" x2="{x[1]:.1f}" y1="{y[0]:.1f}" y2="{y[1]:.1f}"'
    return f'<line class="{escape(style)}" {ends}>{inner}</line>'


def picture(width: float, height: float, says: str, parts: Iterable[str]) -> Markup:
    """Return the drawing. ``parts``: markup in which every text is escaped. ``says``: what it shows, for those who do
    not see it."""
    return Markup(
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(says)}">{"".join(parts)}</svg>'
    )
