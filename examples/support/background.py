"""Work in a thread of its own, beside the main loop, until it is ended."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

END_S = 10.0
"""Seconds that the thread may take to finish its present work."""


class Background(ABC):
    """A background thread: ``with Something(...) as something: ... something.check()``."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._go, daemon=True, name=type(self).__name__)
        self._error: Exception | None = None

    @abstractmethod
    def run(self) -> None:
        """Work until ``ended`` is set."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self._thread.join(END_S)

    def check(self) -> None:
        """Raise the error that ended the thread, if any."""
        if self._error is not None:
            raise RuntimeError(f"{type(self).__name__} has failed") from self._error

    def _go(self) -> None:
        try:
            self.run()
        except Exception as error:  # noqa: BLE001 - raised by `check` in the main thread
            self._error = error
