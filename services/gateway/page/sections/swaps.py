"""The log of swaps: when which version began to serve, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.gateway.page.gather import TaskPage
from tornio.api import Swap

SHOWN = 10
"""Most swaps that are shown at once."""


@dataclass(frozen=True, slots=True)
class Swaps:
    """Newest first."""

    swaps: Sequence[Swap]
    shown: int = SHOWN


def show(page: TaskPage) -> Swaps | None:
    """Return the swaps; None before the first. Raises PartUnread."""
    swaps = page.stands.get().swaps
    return Swaps(swaps) if swaps else None
