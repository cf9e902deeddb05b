"""The progress of a run, written where terminal and API find it."""

from __future__ import annotations

import logging
import time

from tornio.errors import TornioError
from tornio.schemas.runs import RunPlan, RunProgress
from tornio.storage.port import ObjectStore

log = logging.getLogger(__name__)
EVERY_S = 2.0
"""Seconds between two writes within a stage. The end of a stage is always written."""


class ProgressWriter:
    """A ``JobContext.watch`` that writes ``attempts/{n}/progress.json``."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._stage = ""
        self._written = 0.0

    def __call__(self, plan: RunPlan, progress: RunProgress) -> None:
        now = time.monotonic()
        ended = progress.done == progress.total
        if progress.stage == self._stage and now - self._written < EVERY_S and not ended:
            return
        self._stage, self._written = progress.stage, now
        try:
            self._store.put(plan.run_keys.progress(progress.attempt), progress.encode())
        except TornioError:  # the run is more important than its progress
            log.warning("Run %s: its progress could not be written.", plan.run, exc_info=True)
