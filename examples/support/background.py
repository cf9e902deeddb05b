"""Something that goes on beside the loop, in a thread of its own, until it is ended."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

END_S = 10.0
"""Seconds that the thread gets to finish what it is at."""


class Background(ABC):
    """``with Something(...) as something: ... something.check()``."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._go, daemon=True, name=type(self).__name__)
        self._error: Exception | None = None

    @abstractmethod
    def run(self) -> None:
        """Go on until ``ended`` is set."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self._thread.join(END_S)

    def check(self) -> None:
        """Raises what the thread died of, if it did."""
        if self._error is not None:
            raise RuntimeError(f"{type(self).__name__} died") from self._error

    def _go(self) -> None:
        try:
            self.run()
        except Exception as error:  # noqa: BLE001 - told by `check`, in the thread that waits for it
            self._error = error
