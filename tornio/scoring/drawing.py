"""The drawings of the report as inline SVG. The style sheet of the report sets their colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from markupsafe import Markup

from tornio.scoring.figures import Bin
from tornio.svg import line, picture, text

WIDTH, HEIGHT = 800, 300
LEFT, RIGHT, TOP, BOTTOM = 66, 12, 12, 56
LEAST_BAR = 2.0
"""Height of a bar for a single row, so that it can be seen."""


def histogram(bins: Sequence[Bin]) -> Markup:
    """Draw the number of rows over the loss, on a logarithmic axis.

    A second bar in front of each shows how many of its rows were predicted otherwise.
    """
    if not bins:
        return Markup("<p>No rows.</p>")
    top = max(1, math.ceil(math.log10(max(b.rows for b in bins) + 1)))
    floor, width = HEIGHT - BOTTOM, (WIDTH - LEFT - RIGHT) / len(bins)
    parts = []
    for power in range(top + 1):
        y = floor - (floor - TOP) * power / top
        parts.append(line("grid", (LEFT, WIDTH - RIGHT), (y, y)))
        parts.append(text(LEFT - 10, y + 5, f"{10**power:,}", "end"))
    for number, b in enumerate(bins):
        title = f"loss {b.low:.2f} to {b.high:.2f}: {b.rows:,} rows, {b.disagree:,} predicted otherwise"
        bars = "".join(
            _bar(LEFT + number * width, width, floor, floor - TOP, count, top, style)
            for count, style in ((b.rows, "all"), (b.disagree, "other"))
        )
        parts.append(f"<g>{bars}<title>{escape(title)}</title></g>")
    for number in range(0, len(bins) + 1, max(1, len(bins) // 5)):
        edge = bins[number].low if number < len(bins) else bins[-1].high
        shown = f"{edge:.1f}" if bins[-1].high > 2 else f"{edge:.2f}"
        parts.append(text(LEFT + number * width, floor + 22, shown, "middle"))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "loss", "middle"))
    return picture(WIDTH, HEIGHT, f"Histogram of losses from 0 to {bins[-1].high:.1f}", parts)


def interval(share: float, low: float, high: float) -> Markup:
    """Draw a share with its interval, on an axis from 0 to 100 %."""
    left, right, middle = 8, WIDTH - 8, 20

    def x(value: float) -> float:
        return left + (right - left) * value

    parts = [line("grid", (left, right), (middle, middle))]
    parts += [
        text(x(tick / 4), 56, f"{25 * tick} %", "start" if not tick else "end" if tick == 4 else "middle")
        for tick in range(5)
    ]
    parts.append(f'<rect class="band" x="{x(low):.1f}" y="{middle - 8}" width="{x(high) - x(low):.1f}" height="16"/>')
    parts.append(f'<circle cx="{x(share):.1f}" cy="{middle}" r="7"/>')
    title = f"{100 * share:.0f} %, 95 %: {100 * low:.0f} % to {100 * high:.0f} %"
    return picture(WIDTH, 64, title, parts)


def _bar(x: float, width: float, floor: float, height: float, count: int, top: int, style: str) -> str:
    if not count:
        return ""
    tall = max(LEAST_BAR, height * math.log10(count) / top)
    return f'<rect class="{style}" x="{x + 1:.1f}" y="{floor - tall:.1f}" width="{width - 2:.1f}" height="{tall:.1f}"/>'
