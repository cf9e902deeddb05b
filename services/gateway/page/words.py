"""How the page writes numbers, times and scores. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tornio.api import Scores
from tornio.comparison.page import shown
from tornio.simulation.page import labels, points

SOURCES: Mapping[str, str] = {"imported": "your imported test set", "annotators": "annotators' hold-out"}
"""Where hold-out labels come from, as the page calls it."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A score, the ``n`` hold-out texts that it was measured on, and whose labels these are. ``apart``: it is a part
    of the row before it."""

    on: str
    score: float
    interval: tuple[float, float] | None
    n: int | None
    apart: bool = False


def judged(scores: Scores) -> Iterator[Judged]:
    """Yield the score on all hold-out labels, and on those of each source where they come from both. None without a
    score."""
    if scores.score is None:
        return
    names = [SOURCES.get(name, name) for name in scores.sources]
    on = "all hold-out labels" if len(names) > 1 else names[0] if names else "hold-out"
    yield Judged(on, scores.score, scores.interval, scores.holdout)
    if len(names) > 1:
        for name, one in zip(names, scores.sources.values(), strict=True):
            yield Judged(name, one.score, one.interval, one.n, apart=True)


def percent(share: float | None) -> str:
    """Return a share, such as ``84.0 %``; a dash for None."""
    return "–" if share is None else f"{100 * share:.1f} %"


def percent_tick(share: float) -> str:
    """Return a share for an axis, such as ``80 %``."""
    return f"{100 * share:.0f} %"


def span(interval: tuple[float, float] | None) -> str:
    """Return an interval of shares, such as ``79.8–87.5 %``; nothing for None."""
    return "" if interval is None else f"{100 * interval[0]:.1f}–{100 * interval[1]:.1f} %"


def figure(value: float | None) -> str:
    """Return a number with four significant digits, such as ``0.9931`` or ``1,200``; a dash for None."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value == int(value) else f"{value:.4g}"


def count(value: int | None) -> str:
    """Return a number of things, such as ``12,000``; a dash for None."""
    return "–" if value is None else f"{value:,}"


def when(moment: datetime | None) -> str:
    """Return a moment to the minute, in UTC; a dash for None."""
    return "–" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def spell(seconds: float | None) -> str:
    """Return a duration with about three significant digits, such as ``8.1 s`` or ``12 min``; a dash for None."""
    if seconds is None:
        return "–"
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds >= 10 else f"{seconds:.2f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def clipped(text: str, most: int) -> str:
    """Return the beginning of a text."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


FILTERS: Mapping[str, Any] = {
    "percent": percent,
    "span": span,
    "figure": figure,
    "count": count,
    "when": when,
    "spell": spell,
    "clipped": clipped,
    "band": shown,
    "labels": labels,
    "points": points,
}
"""For the templates."""
