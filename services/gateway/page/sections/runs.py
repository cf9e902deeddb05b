"""The newest runs, and how far each is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.gateway.page.gather import TaskPage
from tornio.api import RunOut

SHOWN = 8
"""Most runs that are shown at once."""
_TONES = {"done": "good", "failed": "bad", "running": "busy", "waiting": "quiet", "cancelled": "quiet"}


@dataclass(frozen=True, slots=True)
class RunRow:
    """``seconds``: how long it took, or has taken up to now."""

    run: RunOut
    tone: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class RunList:
    """Newest first."""

    rows: Sequence[RunRow]
    shown: int = SHOWN


def show(page: TaskPage) -> RunList | None:
    """Return the runs; None before the first. Raises PartUnread."""
    runs = page.runs.get()
    return RunList([_row(run, page.now) for run in runs]) if runs else None


def _row(run: RunOut, now: datetime) -> RunRow:
    until = run.finished_at or (now if run.state == "running" else None)
    seconds = (until - run.started_at).total_seconds() if until and run.started_at else None
    return RunRow(run, _TONES.get(run.state, "quiet"), seconds)
