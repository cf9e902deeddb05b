"""The labels of a scored data set that are most likely wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.gateway.page.gather import TaskPage

_NAMES = {"given": "given label", "predicted": "suggested label"}


@dataclass(frozen=True, slots=True)
class SuspiciousLabels:
    """``columns``: names, and whether each holds texts of users. ``rows``: most suspicious first."""

    run: str
    ended: datetime | None
    columns: Sequence[tuple[str, bool]]
    rows: Sequence[Sequence[str]]


def show(page: TaskPage) -> SuspiciousLabels | None:
    """Return the first rows of the newest score run. None without one, or where the caller may not see its texts.

    Raises PartUnread.
    """
    if page.suspicious.hidden:
        return None
    found = page.suspicious.get()
    if found is None or not found.rows.rows:
        return None
    columns = [(_NAMES.get(name, name), name == "text") for name in found.rows.columns]
    return SuspiciousLabels(found.run.run, found.run.finished_at, columns, found.rows.rows)
