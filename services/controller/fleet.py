"""The heartbeats of the classifier's replicas, kept in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock
from typing import Protocol

from services.messages import Heartbeat, HeldVersions, ReplicaReport
from tornio.loop.observation import Replica
from tornio.schemas.trial import TrialCounts, TrialReport

STALE_S = 8.0
"""Seconds without a heartbeat after which a replica counts as gone. Replicas send one every three seconds."""
LISTEN_S = 4.0
"""Seconds that a new controller waits before it assumes that every replica has sent a heartbeat."""


class Fleet(Protocol):
    """The replicas that serve, as a port."""

    def replicas(self, task: str) -> tuple[Replica, ...]:
        """Return the replicas that send heartbeats, with what they report about the task (full name)."""

    def tried(self, task: str, version: str, started_at: datetime) -> TrialCounts:
        """Return what all replicas have counted of this trial, those that have gone included."""


@dataclass(frozen=True, slots=True)
class _Received:
    """The last heartbeat of a replica, and when it came (monotonic seconds)."""

    at: float
    heartbeat: Heartbeat


class HeartbeatFleet:
    """The fleet as its heartbeats describe it. Thread-safe.

    It is empty after a restart, which does not mean that all replicas are ready. It stays empty for more than one
    heartbeat, so that the first replica to report is not taken for all of them.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._received: dict[str, _Received] = {}
        self._trials: dict[str, dict[str, TrialReport]] = {}
        """The last report of each replica, by task: of the trial that began last. A replica that starts again has
        another id, and counts from 0."""
        self._lock = Lock()
        self._began = monotonic()

    def report(self, replica_id: str, heartbeat: Heartbeat) -> set[str]:
        """Record a heartbeat. Return the tasks (full names) of which it says something else than the replica's last
        one, in more than a trial's counts."""
        with self._lock:
            received = self._received.get(replica_id)
            self._received[replica_id] = _Received(self._monotonic(), heartbeat)
            for task, held in heartbeat.items():
                if held.trial is not None:
                    self._note(task, replica_id, held.trial)
        before, now = _lasting(received.heartbeat if received is not None else {}), _lasting(heartbeat)
        return {task for task in now.keys() | before.keys() if now.get(task) != before.get(task)}

    def tried(self, task: str, version: str, started_at: datetime) -> TrialCounts:
        with self._lock:
            reports = list(self._trials.get(task, {}).values())
        mine = (one.counts for one in reports if (one.version, one.started_at) == (version, started_at))
        return sum(mine, TrialCounts())

    def _note(self, task: str, replica_id: str, report: TrialReport) -> None:
        """Keep a report. Those of trials that began earlier are dropped."""
        kept = self._trials.get(task, {})
        newest = max((report.started_at, *(one.started_at for one in kept.values())))
        kept = {name: one for name, one in {**kept, replica_id: report}.items() if one.started_at == newest}
        self._trials[task] = kept

    def replicas(self, task: str) -> tuple[Replica, ...]:
        if self._monotonic() - self._began < LISTEN_S:
            return ()
        return tuple(
            Replica(replica, frozenset(held.ready), dict(held.failed), held.asleep)
            for replica, _, held in self._alive(task)
        )

    def describe(self, task: str) -> tuple[ReplicaReport, ...]:
        """Return one report per replica, for the task's status."""
        return tuple(ReplicaReport(replica, round(age, 1), held) for replica, age, held in self._alive(task))

    def _alive(self, task: str) -> list[tuple[str, float, HeldVersions]]:
        now = self._monotonic()
        with self._lock:
            self._received = {r: beat for r, beat in self._received.items() if now - beat.at < STALE_S}
            alive = sorted(self._received.items())
        return [(replica, now - beat.at, beat.heartbeat.get(task, HeldVersions())) for replica, beat in alive]


def _lasting(heartbeat: Heartbeat) -> Heartbeat:
    """Return the heartbeat without counts, which change all the time."""
    return {task: replace(held, trial=None) if held.trial else held for task, held in heartbeat.items()}
