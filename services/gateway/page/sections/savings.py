"""What asking has saved against asking at random, where a simulation says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from services.gateway.page.charts import Axes, Curve, Point, curves
from services.gateway.page.gather import TaskPage
from services.gateway.page.words import percent, percent_tick
from tornio.schemas.comparison import Band
from tornio.schemas.simulation import ArmRow, Saving, SimulateOutput


@dataclass(frozen=True, slots=True)
class Savings:
    """``rows``: the scores after each batch, by arm and number of labels."""

    run: str
    ended: datetime | None
    conclusion: str
    savings: Sequence[Saving]
    chart: Markup | None
    keys: Sequence[tuple[int, str]]
    sizes: Sequence[int]
    rows: Mapping[str, Mapping[int, Band]]


def show(page: TaskPage) -> Savings | None:
    """Return what the newest simulation says; None without one. Raises PartUnread."""
    run = page.simulation.get()
    if run is None or run.output is None:
        return None
    done = SimulateOutput.model_validate(run.output)
    drawn = list(_arms(done.rows))
    return Savings(
        run=run.run,
        ended=run.finished_at,
        conclusion=done.conclusion,
        savings=done.savings,
        chart=curves(drawn, Axes("labelled texts", "Micro F1", percent_tick)),
        keys=[(one.number, one.name) for one in drawn],
        sizes=sorted({row.labels for row in done.rows}),
        rows={one.name: {row.labels: row.micro_f1 for row in done.rows if row.arm == one.name} for one in drawn},
    )


def _arms(rows: Sequence[ArmRow]) -> Iterator[Curve]:
    for number, arm in enumerate(dict.fromkeys(row.arm for row in rows)):
        own = sorted((row for row in rows if row.arm == arm), key=lambda row: row.labels)
        yield Curve(arm, [_point(row) for row in own], number % 4)


def _point(row: ArmRow) -> Point:
    band = row.micro_f1
    ends = None if band.low is None or band.high is None else (band.low, band.high)
    return Point(row.labels, band.mean, f"{row.arm}, {row.labels:,} labels: {percent(band.mean)}", ends)
