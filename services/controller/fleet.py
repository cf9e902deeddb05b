"""What the serving replicas say of themselves: a table of heartbeats, kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol

from tornio.loop.observation import Replica

STALE_S = 5.0
"""Seconds without a heartbeat after which a replica counts as gone: replicas report each second."""
LISTEN_S = 2.5
"""Seconds that a new controller listens before it believes that it has heard all replicas."""


class Fleet(Protocol):
    """The replicas that serve, as a port."""

    def replicas(self, task: str) -> tuple[Replica, ...]:
        """Those that heartbeat, with what they say of the task (full name)."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A replica's last report: full task name -> serving, ready, failed."""

    at: float
    report: Mapping[str, Mapping[str, Any]]


class HeartbeatFleet:
    """Filled by the replicas' reports. Thread-safe. Empty after a restart, which is not "all ready"; and silent for
    two heartbeats, so that the first replica to speak is not taken for all of them."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._beats: dict[str, Heartbeat] = {}
        self._lock = Lock()
        self._began = monotonic()

    def report(self, replica_id: str, report: Mapping[str, Mapping[str, Any]]) -> bool:
        """Take a heartbeat; returns whether it says anything else than the last one."""
        with self._lock:
            before = self._beats.get(replica_id)
            self._beats[replica_id] = Heartbeat(self._monotonic(), report)
        return before is None or before.report != report

    def replicas(self, task: str) -> tuple[Replica, ...]:
        if self._monotonic() - self._began < LISTEN_S:
            return ()
        return tuple(
            Replica(replica, frozenset(said.get("ready", ())), dict(said.get("failed", {})))
            for replica, _, said in self._alive(task)
        )

    def describe(self, task: str) -> list[dict[str, Any]]:
        """For the status page: a row a replica, with the age of its heartbeat in seconds."""
        return [{"replica": replica, "age_s": round(age, 1), **said} for replica, age, said in self._alive(task)]

    def _alive(self, task: str) -> list[tuple[str, float, Mapping[str, Any]]]:
        now = self._monotonic()
        with self._lock:
            self._beats = {r: beat for r, beat in self._beats.items() if now - beat.at < STALE_S}
            return [(r, now - beat.at, beat.report.get(task, {})) for r, beat in sorted(self._beats.items())]
