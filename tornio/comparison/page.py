"""The report of a comparison: one HTML page without scripts and without external resources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tornio import __version__
from tornio.comparison.drawing import Line, curves
from tornio.pages import templates
from tornio.schemas.comparison import Band, ComparisonRow


@dataclass(frozen=True, slots=True)
class ComparisonPage:
    """The contents of the page. ``data``: what was compared on, as the user named it. ``judged_by``: in a sentence."""

    data: str
    judged_by: str
    rows: Sequence[ComparisonRow]
    use_now: str
    next_labels: str
    per_class: bool
    seeds: int


def render(page: ComparisonPage, now: datetime | None = None) -> str:
    """Return the page. All texts are escaped, and control characters in them are made visible."""
    pages = templates(Path(__file__).parent)
    pages.filters |= {"band": shown}
    colours = {name: number for number, name in enumerate(dict.fromkeys(row.contender for row in page.rows))}
    axis = "labelled texts per class" if page.per_class else "labelled texts"
    return pages.get_template("page.html.j2").render(
        page=page,
        colours=colours,
        sizes=sorted({row.size for row in page.rows if row.size}),
        by_place={(row.contender, row.size): row for row in page.rows},
        failed=[row for row in page.rows if row.errors],
        curves=curves([Line(row.contender, row.size, row.micro_f1) for row in page.rows], colours, axis),
        now=now or datetime.now(UTC),
        release=__version__,
    )


def shown(band: Band | None) -> str:
    """Return a mean with half the width of its interval, such as ``.843 ± .021``."""
    if band is None:
        return "failed"
    if band.low is None or band.high is None:
        return f"{band.mean:.3f}"
    return f"{band.mean:.3f} ± {(band.high - band.low) / 2:.3f}"
