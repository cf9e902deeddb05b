"""What a replica counts of live texts, to compare them with the hold-out: in memory, and each minute in the store."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock

from services import metrics
from services.background import Background
from services.metrics import Meter
from tornio.api.drift import DriftStatus, DriftWindow
from tornio.drift.counts import Counts
from tornio.drift.windows import Window, expire, write
from tornio.schemas.keys import TaskKeys
from tornio.status.drift import DriftReader
from tornio.storage.port import ObjectStore

log = logging.getLogger(__name__)

FLUSH_S = 60.0
"""Seconds between writes. A replica that is killed loses the counts of this time."""
COMPARE_S = 300.0
"""Seconds between comparisons of a task for the metrics. Each reads the documents of all replicas."""


@dataclass(frozen=True, slots=True)
class _Span:
    """One task in one window."""

    task: str
    window: Window

    @property
    def keys(self) -> TaskKeys:
        workspace, _, name = self.task.partition("/")
        return TaskKeys(workspace, name)


class Live:
    """Counts of the texts that this replica answered, by task, window and version.

    ``add`` is for the model's thread, ``run`` and ``stop`` for the event loop. ``serving``: returns the version that
    serves a task. Nothing here may harm an answer: when the store is away, the counts wait.
    """

    def __init__(
        self,
        store: ObjectStore,
        replica: str,
        serving: Callable[[str], str | None],
        meter: Meter,
        *,
        seconds: int,
        days: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._replica, self._serving, self._meter = store, replica, serving, meter
        self._seconds, self._kept = seconds, timedelta(days=days)
        self._clock, self._monotonic = clock, monotonic
        self._lock = Lock()
        self._writing = Lock()
        """Held for a whole write: a write that began later may not be overtaken by an earlier one."""
        self._counts: dict[_Span, dict[str, Counts]] = {}
        self._changed: set[_Span] = set()
        self._written: set[_Span] = set()
        self._read: dict[str, tuple[int, int]] = {}
        """Tokens, and texts with an unknown one, that the metrics do not have yet."""
        self._readers: dict[str, DriftReader] = {}
        self._compared: dict[str, float] = {}
        """When each task was compared."""
        self._shown: dict[str, set[str]] = {}
        """The measures of each task that the metrics have."""
        self._background = Background("live", self._run, lambda: asyncio.to_thread(self.write))

    def add(self, task: str, version: str, counts: Counts) -> None:
        """Count texts that a version has answered now."""
        with self._lock:
            span = _Span(task, Window.at(self._clock(), self._seconds))
            versions = self._counts.setdefault(span, {})
            versions[version] = versions[version] + counts if version in versions else counts
            self._changed.add(span)
            tokens, unknown = self._read.get(task, (0, 0))
            self._read[task] = tokens + counts.tokens, unknown + counts.unknown

    def start(self) -> None:
        """Begin to write each minute."""
        self._background.start()

    async def stop(self) -> None:
        """End, after a last write."""
        await self._background.stop()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            try:
                await asyncio.to_thread(self.write)
                found = await asyncio.to_thread(self.compare)
            except Exception:
                log.exception("The counts of live texts could not be written or compared. The next minute tries again.")
                continue
            self.measure(found)

    def write(self) -> None:
        """Write the counts of every window that has changed. Blocking; raises nothing of the store."""
        with self._writing:
            self._write()

    def _write(self) -> None:
        with self._lock:
            due = {span: dict(self._counts[span]) for span in self._changed}
            self._changed.clear()
        for span, versions in due.items():
            try:
                if span not in self._written:  # once in each window
                    expire(self._store, span.keys, self._clock() - self._kept)
                write(self._store, span.keys, span.window, self._replica, versions)
                self._written.add(span)
            except Exception as error:  # noqa: BLE001 - after any error the counts wait for the next minute
                log.warning("The counts of live texts of %s could not be written and wait: %s", span.task, error)
                with self._lock:
                    self._changed.add(span)
        with self._lock:
            now, length = self._clock(), timedelta(seconds=self._seconds)  # late texts, or a clock that steps back
            for span in [one for one in self._counts if one.window.end + length <= now and one not in self._changed]:
                del self._counts[span]
                self._written.discard(span)

    def compare(self) -> Mapping[str, DriftStatus | None]:
        """Return how the tasks differ that are due: those with texts in the last two windows. Blocking."""
        now, found = self._monotonic(), dict[str, DriftStatus | None]()
        with self._lock:
            active = {span.task for span in self._counts}
        for task in active | self._compared.keys():
            if task not in active:
                found[task] = None
                del self._compared[task]
                self._readers.pop(task, None)
            elif now - self._compared.get(task, -COMPARE_S) >= COMPARE_S:
                self._compared[task] = now
                try:
                    found[task] = self._drift(task)
                except Exception as error:  # noqa: BLE001 - one task may not hide the others
                    log.warning("The live texts of %s could not be compared: %s", task, error)
                    found[task] = None  # what nobody can read must not stay at its last value
        return found

    def _drift(self, task: str) -> DriftStatus | None:
        version, (workspace, _, name) = self._serving(task), task.partition("/")
        if version is None:
            return None
        reader = self._readers.setdefault(task, DriftReader(self._store, TaskKeys(workspace, name)))
        return reader.read(version, self._clock())

    def measure(self, found: Mapping[str, DriftStatus | None]) -> None:
        """Give the metrics what was counted and compared since the last time."""
        with self._lock:
            read, self._read = self._read, {}
        for task, (tokens, unknown) in read.items():
            self._meter.record(metrics.TOKENS, tokens, task=task)
            self._meter.record(metrics.UNKNOWN, unknown, task=task)
        for task, drift in found.items():
            window = _newest(drift, self._clock())
            effects = {effect.measure: effect for effect in window.effects} if window else {}
            before = self._shown.pop(task, set())  # what is gone must not stay at its last value
            for measure in before | effects.keys():
                effect = effects.get(measure)
                self._meter.record(metrics.DRIFT, effect.size if effect else 0.0, task=task, measure=measure)
                alarm = float(effect.alarm) if effect else 0.0
                self._meter.record(metrics.DRIFT_ALARM, alarm, task=task, measure=measure)
            accuracy = window.accuracy if window else None
            if accuracy is not None or before:
                self._meter.record(metrics.ESTIMATED_ACCURACY, math.nan if accuracy is None else accuracy, task=task)
            if effects:
                self._shown[task] = set(effects)


def _newest(drift: DriftStatus | None, now: datetime) -> DriftWindow | None:
    """Return the newest window that could be compared, and is not over for as long as it lasted."""
    windows = drift.windows if drift else []
    fresh = [window for window in windows if window.effects and now - window.end < window.end - window.start]
    return fresh[-1] if fresh else None
