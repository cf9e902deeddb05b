"""What a replica measures of its predictions."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from services import metrics
from services.metrics import Meter
from tornio.errors import NotFound
from tornio.records import Prediction

UNKNOWN = "unknown"
"""The tag of tasks that do not exist."""
_ANSWERED = "answered"


class Measured:
    """Turns predictions into metrics. For the event loop's thread."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    @contextmanager
    def request(self, task: str) -> Iterator[Callable[[Sequence[Prediction]], None]]:
        """Measure one request. What it yields takes the answer; without one, the error is counted by its name."""
        begun, outcome = time.monotonic(), _ANSWERED

        def answered(predictions: Sequence[Prediction]) -> None:
            self._predictions(task, predictions)

        try:
            yield answered
        except BaseException as error:
            outcome = type(error).__name__
            if isinstance(error, NotFound):  # whoever asks for tasks that do not exist must not make series
                task = UNKNOWN
            raise
        finally:
            self._meter.record(metrics.REQUESTS, 1, task=task, outcome=outcome)
            self._meter.record(metrics.SECONDS, time.monotonic() - begun, task=task)

    def batch(self, texts: int, queued: int) -> None:
        """Measure one batch of the model: its texts, and the requests that wait when it is done."""
        self._meter.record(metrics.BATCH_TEXTS, texts)
        self._meter.record(metrics.QUEUED, queued)

    def _predictions(self, task: str, predictions: Sequence[Prediction]) -> None:
        self._meter.record(metrics.TEXTS, len(predictions), task=task)
        self._meter.record(metrics.TRUNCATED, sum(one.truncated for one in predictions), task=task)
        for label, count in Counter(label for one in predictions for label in one.labels).items():
            self._meter.record(metrics.LABELS, count, task=task, label=label)
        for one in predictions:
            self._meter.record(metrics.CONFIDENCE, max(one.probabilities.values()), task=task)
