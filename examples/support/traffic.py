"""A steady stream of predictions, as users would send it, that counts what fails."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tornio.client import Client
from tornio.errors import NotServable, TornioError


@dataclass
class Traffic:
    """Sends one text after the other, ``rate`` a second, from the moment when the task first serves."""

    client: Client
    task: str
    texts: Sequence[str]
    rate: float = 5.0
    sent: int = 0
    failed: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    """Versions that answered, in the order in which they first did."""
    _end: threading.Event = field(default_factory=threading.Event)

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self.run, daemon=True, name="traffic")
        thread.start()
        return thread

    def end(self) -> None:
        self._end.set()

    def run(self) -> None:
        due = time.monotonic()
        for text in itertools.cycle(self.texts):
            due = max(due + 1 / self.rate, time.monotonic())
            if self._end.wait(max(0.0, due - time.monotonic())):
                return
            self._send(text)

    def _send(self, text: str) -> None:
        try:
            (prediction,) = self.client.predict(self.task, [text])
        except NotServable:
            if not self.sent:  # not trained yet: the stream has not begun
                self._end.wait(0.5)
                return
            self.failed.append("409 after the task had served")
        except TornioError as error:
            self.failed.append(f"{type(error).__name__}: {error}")
        else:
            if prediction.version not in self.versions:
                self.versions.append(prediction.version)
        self.sent += 1
