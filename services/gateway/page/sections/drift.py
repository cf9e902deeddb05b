"""How the texts that users send differ from the hold-out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.gateway.page.gather import TaskPage
from tornio.api import DriftStatus, DriftWindow

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Window:
    """``labels``: the most frequent ones, with their estimated shares; ``more``: how many others there are."""

    window: DriftWindow
    labels: Sequence[tuple[str, float]]
    more: int


@dataclass(frozen=True, slots=True)
class Drift:
    """Newest window first."""

    drift: DriftStatus
    windows: Sequence[Window]


def show(page: TaskPage) -> Drift | None:
    """Return the comparison; None while nothing is counted. Raises PartUnread."""
    drift = page.stands.get().drift
    return None if drift is None else Drift(drift, [_window(one) for one in reversed(drift.windows)])


def _window(window: DriftWindow) -> Window:
    labels = sorted(window.labels.items(), key=lambda one: -one[1])
    return Window(window, labels[:_SHOWN], max(0, len(labels) - _SHOWN))
