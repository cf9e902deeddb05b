"""How the task stands: its phase and why, what serves, and how good that is."""

from __future__ import annotations

from dataclasses import dataclass

from services.gateway.page.gather import TaskPage
from services.gateway.page.words import Judged, judged
from tornio.api import TaskStatus
from tornio.metricnames import shown


@dataclass(frozen=True, slots=True)
class Standing:
    """``also``: why the task needs attention, where the phase does not say it.

    ``scores``: those of the version that serves, on all hold-out labels first.
    """

    status: TaskStatus
    also: str | None
    metric: str
    scores: tuple[Judged, ...]
    labels: int


def show(page: TaskPage) -> Standing:
    """Return how the task stands. Raises PartUnread."""
    status = page.stands.get()
    also = status.attention if status.attention and status.attention not in status.why else None
    return Standing(
        status,
        also=also,
        metric=shown(status.metrics.metric) if status.metrics else "",
        scores=tuple(judged(status.metrics)) if status.metrics else (),
        labels=sum(status.training_labels.values()),
    )
