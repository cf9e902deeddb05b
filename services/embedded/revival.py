"""Programs of the stack that end are started again, each time after a longer pause."""

from __future__ import annotations

import time
from collections.abc import Callable

from services.embedded.supervisor import Program, Supervisor

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
STEADY_S = 300.0
"""Seconds after which a program that ran so long counts as one that never ended before."""


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
        self._due: list[tuple[float, Program]] = []

    def look(self) -> None:
        """Start again what ended and has waited long enough. Raises KeyboardInterrupt after Ctrl-C or SIGTERM."""
        self._supervisor.interrupted()
        now = self._clock()
        for child in self._supervisor.ended():
            pause = self._pause(child.name, now - child.started)
            self._report(f"{self._supervisor.how_it_ended(child)} It is started again in {pause:.0f} s.")
            self._supervisor.bury(child)
            self._due.append((now + pause, child.program))
        for at, program in list(self._due):
            if at <= now:
                self._due.remove((at, program))
                self._supervisor.start(program)
                self._report(f"{program.name} was started again")

    def _pause(self, name: str, lived_s: float) -> float:
        last = 0.0 if lived_s >= STEADY_S else self._pauses.get(name, 0.0)
        self._pauses[name] = min(LONGEST_PAUSE_S, 2 * last or FIRST_PAUSE_S)
        return self._pauses[name]
