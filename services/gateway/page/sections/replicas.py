"""The processes that answer predictions, and the version that each answers with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.gateway.page.gather import TaskPage
from tornio.api import ReplicaStatus

SHOWN = 12
"""Most replicas that are shown at once."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """Those that lag come first. ``away``: why the controller, which knows them, does not answer."""

    replicas: Sequence[ReplicaStatus]
    lagging: int
    asleep: int
    away: str | None
    shown: int = SHOWN


def show(page: TaskPage) -> Replicas | None:
    """Return the replicas; None where none is known. Raises PartUnread."""
    status = page.stands.get()
    if not status.replicas and not status.controller_away:
        return None
    return Replicas(
        sorted(status.replicas, key=lambda one: (one.lags is None, one.replica)),
        lagging=sum(one.lags is not None for one in status.replicas),
        asleep=sum(one.asleep for one in status.replicas),
        away=status.controller_away,
    )
