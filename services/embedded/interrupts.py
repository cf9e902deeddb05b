"""Ctrl-C and SIGTERM, none of which is lost.

Both raise `KeyboardInterrupt`. Python loses this exception if the signal arrives while a destructor or the callback of
a weak reference runs, which happens often while modules are imported (Python's documentation of `signal`, "Note on
Signal Handlers and Exceptions"). So the handler also remembers the signal, and `check` raises the exception once more.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Handles the signals between `catch` and `release`."""

    def __init__(self) -> None:
        self._came = False
        self._deferred = False
        self._before: dict[signal.Signals, Any] = {}

    def catch(self) -> None:
        """Handle the signals from now on, if this is the main thread. Python allows no other thread to do so."""
        self._came = False
        if threading.current_thread() is threading.main_thread():
            # Also where they are ignored: a shell that starts a program in the background ignores Ctrl-C for it.
            self._before = {number: signal.signal(number, self._handle) for number in NUMBERS}

    def release(self) -> None:
        """Give the signals back to their earlier handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def check(self) -> None:
        """Raise `KeyboardInterrupt` if a signal has arrived."""
        if self._came:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Raise only at the end of the block, for steps that must not be left half done."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        self.check()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._came = True
        if not self._deferred:
            raise KeyboardInterrupt
