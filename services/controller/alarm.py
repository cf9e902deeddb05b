"""Wakes a thread that sleeps."""

from __future__ import annotations

from threading import Condition


class Alarm:
    """``ring`` ends the next ``wait``, or the one under way. A ring is never lost; several may end the same wait."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._rung = False

    def ring(self) -> None:
        with self._changed:
            self._rung = True
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Return True once it has rung since the last ``wait`` that returned True, or False after some seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._rung, seconds)
            rung, self._rung = self._rung, False
        return rung
