"""The report of a simulation: one HTML page without scripts and without external resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tornio import __version__
from tornio.comparison.drawing import Line, curves
from tornio.comparison.page import shown
from tornio.pages import templates
from tornio.schemas.comparison import Band
from tornio.schemas.simulation import ArmRow, Saving, StopRow


@dataclass(frozen=True, slots=True)
class SimulationPage:
    """The contents of the page. ``data``: what was replayed, as the user named it. ``judged_by``: in a sentence."""

    data: str
    judged_by: str
    rows: Sequence[ArmRow]
    savings: Sequence[Saving]
    stops: Sequence[StopRow]
    errors: Mapping[str, Sequence[str]]
    conclusion: str
    seeds: int


def render(page: SimulationPage, now: datetime | None = None) -> str:
    """Return the page. All texts are escaped, and control characters in them are made visible."""
    pages = templates(Path(__file__).parent, Path(__file__).parents[1] / "comparison")
    pages.filters |= {"band": shown, "labels": labels, "points": points}
    colours = {name: number for number, name in enumerate(dict.fromkeys(row.arm for row in page.rows))}
    lines = [Line(row.arm, row.labels, row.micro_f1) for row in page.rows]
    return pages.get_template("simulation.html.j2").render(
        page=page,
        colours=colours,
        sizes=sorted({row.labels for row in page.rows}),
        by_place={(row.arm, row.labels): row for row in page.rows},
        curves=curves(lines, colours, "labelled texts"),
        now=now or datetime.now(UTC),
        release=__version__,
    )


def labels(band: Band | None) -> str:
    """Return a number of labels with half the width of its interval, such as ``35 ± 12``."""
    return "" if band is None else _shown(band, 1, ".0f")


def points(band: Band | None) -> str:
    """Return a difference of scores in points, such as ``+2.1 ± 0.8``."""
    return "" if band is None else _shown(band, 100, "+.1f")


def _shown(band: Band, scale: float, digits: str) -> str:
    mean = f"{scale * band.mean:{digits}}"
    if band.low is None or band.high is None:
        return mean
    return f"{mean} ± {scale * (band.high - band.low) / 2:{digits.lstrip('+')}}"
