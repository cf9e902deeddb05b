"""A steady stream of predictions, as users would send them, which counts failures."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

from examples.support.background import Background
from examples.support.story import Load
from tornio.client import Client
from tornio.errors import NotServable, TornioError

UNTRAINED_S = 0.5
"""Seconds between two checks whether the task serves yet."""


class Traffic(Background):
    """Sends texts one by one, ``rate`` per second, from the moment when the task first serves.

    ``client`` must not repeat requests (``retry_seconds=0``), because a repeated request would hide a failure.
    """

    def __init__(self, client: Client, task: str, texts: Sequence[str], rate: float = 5.0) -> None:
        super().__init__()
        self.versions: list[str] = []
        """Versions that answered, in the order of their first answer."""
        self._client, self._task, self._texts, self._rate = client, task, texts, rate
        self._sent = 0
        self._failed: list[str] = []
        self._seconds: list[float] = []

    @property
    def load(self) -> Load:
        """The requests sent so far."""
        return Load(self._sent, tuple(self._failed), tuple(self._seconds))

    def run(self) -> None:
        due = time.monotonic()
        for text in itertools.cycle(self._texts):
            due = max(due + 1 / self._rate, time.monotonic())
            if self.ended.wait(max(0.0, due - time.monotonic())):
                return
            self._send(text)

    def _send(self, text: str) -> None:
        began = time.monotonic()
        try:
            (prediction,) = self._client.predict(self._task, [text])
        except NotServable as error:
            if not self._sent:  # not trained yet, so the stream has not begun
                self.ended.wait(UNTRAINED_S)
                return
            self._failed.append(f"although the task had served before: {error}")
        except TornioError as error:
            self._failed.append(f"{type(error).__name__}: {error}")
        else:
            self._seconds.append(time.monotonic() - began)
            if prediction.version not in self.versions:
                self.versions.append(prediction.version)
        self._sent += 1
