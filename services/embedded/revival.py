"""Programs of the stack that end are started again, each time after a longer pause."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from services.embedded.supervisor import Child, Program, Supervisor, tail
from tornio.errors import TornioError

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
STEADY_S = 300.0
"""Seconds after which a program that ran so long counts as one that never ended before."""


@dataclass
class _Due:
    """A program that is to be started, by its name and what prepares it. ``failed``: its start has failed already."""

    at: float
    name: str
    prepare: Callable[[], Program]
    failed: bool = False


class Revival:
    """Looks after the children of a supervisor. It never gives up: a full disk, for example, gets room some day.

    ``clock``: seconds, as `time.monotonic` counts them. ``report``: called with a line for the user.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._supervisor, self._report, self._clock = supervisor, report, clock
        self._pauses: dict[str, float] = {}
        self._due: list[_Due] = []

    def look(self) -> None:
        """Start again what ended and has waited long enough. Raises KeyboardInterrupt after Ctrl-C or SIGTERM."""
        self._supervisor.interrupted()
        now = self._clock()
        for child in self._supervisor.ended():
            pause = self._pause(child.name, now - child.started)
            self._due.append(_Due(now + pause, child.name, child.prepare))
            self._supervisor.bury(child)
            how = self._supervisor.how_it_ended(child)
            self._report(f"{how} It is started again in {pause:.0f} s. {self._log_of(child, pause)}")
        for due in [due for due in self._due if due.at <= now]:
            self._start(due, now)

    def _start(self, due: _Due, now: float) -> None:
        try:
            self._supervisor.start(due.prepare)
        except (OSError, TornioError) as error:  # OSError: no room on the disk, or no memory for a process
            due.at = now + self._pause(due.name, 0.0)
            if not due.failed:
                self._report(f"{due.name} cannot be started ({error}). This is tried again until it succeeds.")
            due.failed = True
            return
        self._due.remove(due)
        self._report(f"{due.name} was started again")

    def _pause(self, name: str, lived_s: float) -> float:
        last = 0.0 if lived_s >= STEADY_S else self._pauses.get(name, 0.0)
        self._pauses[name] = min(LONGEST_PAUSE_S, 2 * last or FIRST_PAUSE_S)
        return self._pauses[name]

    def _log_of(self, child: Child, pause: float) -> str:
        """Say where the log is. The one of the first death in a series tells most: it is shown and kept."""
        if pause > FIRST_PAUSE_S:
            return f"Its log becomes {child.log}.1."
        kept = self._supervisor.keep_log(child)
        return f"The end of its log, {kept}:\n{tail(kept)}"
