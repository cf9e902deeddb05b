"""The automatic labels of a task for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tornio.api import AutomaticStatus, AutoMeasureOut
from tornio.cli.screen import Text, percent

_SHOWN = 5


def automatic_lines(automatic: AutomaticStatus) -> Iterator[tuple[str, Text]]:
    """Yield the lines of the status, each with its name."""
    stand = f"{automatic.labels:,} of {automatic.version}; " if automatic.version else ""
    yield "automatic", Text(f"{stand}{automatic.why}")
    measures = sorted(automatic.measures, key=lambda one: one.threshold is None)
    for measure in measures[:_SHOWN]:
        if measure.threshold is not None:
            yield "", Text(_measure(measure, automatic))
        elif measure.label is not None:
            yield "", Text(f"{measure.label}: no threshold passes")
    if len(measures) > _SHOWN:
        yield "", Text(f"and {len(measures) - _SHOWN} more labels")
    if automatic.outlook:
        parts = [f"{percent(one.coverage)} with {one.holdout:,}" for one in automatic.outlook]
        yield "", Text(f"more hold-out labels would probably allow of these texts: {', '.join(parts)}")
    for version, why in list(automatic.withdrawn.items())[-_SHOWN:]:
        yield "withdrawn", Text(f"{version}: {why}", style="yellow")
    for version, why in list(automatic.learned.items())[-_SHOWN:]:
        yield "not promoted", Text(f"{version}: {why}", style="yellow")


def _measure(one: AutoMeasureOut, automatic: AutomaticStatus) -> str:
    name = f"{one.label}: " if one.label is not None else ""
    where = f"{name}probability {one.threshold:.3f} or more, {percent(one.coverage)} of the unlabelled texts"
    if not one.judged:
        return f"{where}; no hold-out label there, so its error is not known"
    errors = f"{one.wrong} of {one.judged} hold-out labels there are wrong"
    confidence = f"confidence {automatic.confidence:.0%}"
    if one.low is not None:
        return f"{where}; {errors}: an error of {percent(one.low)} to {percent(one.bound)} ({confidence}), not tested"
    return f"{where}; {errors}: an error of at most {percent(one.bound)} ({confidence})"
