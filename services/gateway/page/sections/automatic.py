"""The labels that versions give, and the bound on their error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.gateway.page.gather import TaskPage
from tornio.api import AutomaticStatus, AutoMeasureOut

SHOWN = 10
"""Most thresholds that are shown at once."""


@dataclass(frozen=True, slots=True)
class Automatic:
    """``measures``: those that pass come first. ``without``: labels for which no threshold passes."""

    automatic: AutomaticStatus
    measures: Sequence[AutoMeasureOut]
    without: Sequence[str]
    shown: int = SHOWN


def show(page: TaskPage) -> Automatic | None:
    """Return the automatic labels; None where the task wants none and never had any. Raises PartUnread."""
    automatic = page.stands.get().automatic
    if automatic is None:
        return None
    passing = [one for one in automatic.measures if one.threshold is not None]
    without = [one.label for one in automatic.measures if one.threshold is None and one.label is not None]
    return Automatic(automatic, passing, without)
