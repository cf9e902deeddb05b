"""How live texts of a task differ from its hold-out, for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from tornio.api import DriftStatus, DriftWindow
from tornio.cli.screen import Text, ago, percent

_SHOWN = 5


def drift_lines(drift: DriftStatus, now: datetime) -> Iterator[tuple[str, Text]]:
    """Yield the lines of the status, each with its name."""
    if drift.why is not None:
        yield "drift", Text(f"unknown: {drift.why}", style="red")
    elif not drift.windows:
        yield "drift", Text(f"{drift.version} has answered no text in the last windows")
    for window in drift.windows:
        yield "drift", _window(window, now)
        for effect in window.alarms:
            size, threshold = f"{effect.size:.2f}", f"{effect.threshold:.2f}"
            yield "", Text(f"{effect.says} (effect {size}, alarm from {threshold} on)", style="red")
        if window.alarms and window.labels:
            yield "", Text(f"true labels there, estimated: {_mix(window.labels)}")


def _window(window: DriftWindow, now: datetime) -> Text:
    end = f"{window.end:%H:%M} UTC ({ago(window.end, now)})" if window.over else "now UTC"
    when = f"{window.start:%Y-%m-%d %H:%M} to {end}, {window.texts:,} texts"
    if window.why is not None:
        return Text(f"{when}: not compared; {window.why}")
    found = "not as the hold-out" if window.alarms else "as the hold-out"
    if window.accuracy is None or window.interval is None:
        return Text(f"{when}: {found}")
    low, high = window.interval
    return Text(f"{when}: {found}; estimated accuracy {percent(window.accuracy)} ({percent(low)} to {percent(high)})")


def _mix(labels: dict[str, float]) -> str:
    largest = sorted(labels.items(), key=lambda one: -one[1])
    rest = f" and {len(largest) - _SHOWN} more" if len(largest) > _SHOWN else ""
    return ", ".join(f"{name} {share:.2f}" for name, share in largest[:_SHOWN]) + rest
