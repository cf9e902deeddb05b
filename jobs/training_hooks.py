"""Where a training run's progress and checkpoints go, and how it gets its workers."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import asdict
from pathlib import Path

from jobs.context import RunContext
from tornio.errors import NotFound, RunFailed
from tornio.settings import TrainSettings
from tornio.storage.port import ObjectStore
from tornio.training.checkpoints import StoredCheckpoints
from tornio.training.hooks import Hooks, Progress

log = logging.getLogger(__name__)
CHECKPOINTS = "training"
"""Folder of a run's checkpoints. All attempts share it, so that an attempt continues where the last one died."""
_WRITE_S = 5.0
"""Seconds between two writes of metrics.jsonl."""


def several_workers() -> bool:
    """Return whether this deployment shares trainings among several workers."""
    return TrainSettings().workers > 1


def spread(context: RunContext) -> None:
    """Let TORNIO_TRAIN_WORKERS workers do this run. Raises RunFailed where this process cannot start workers."""
    start = context.job.train_on_workers
    if start is None:
        raise RunFailed(
            f"TORNIO_TRAIN_WORKERS is {TrainSettings().workers}, and this process cannot start workers: run the job on "
            "the cluster, or set TORNIO_TRAIN_WORKERS=1"
        )
    start(context)


def forget_checkpoints(context: RunContext) -> None:
    """Delete the run's checkpoints, because its version is published."""
    StoredCheckpoints(context.job.store, context.keys.folder(CHECKPOINTS)).clear()


class StepRecord:
    """``metrics.jsonl``: one line per report. A training that continues in the same attempt continues the same file."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        self._store = store
        self._key = key
        self._lines: list[str] | None = None
        self._began = self._written = time.monotonic()
        self._first: int | None = None

    def add(self, progress: Progress) -> None:
        """Add a report to the file and to the log."""
        now = time.monotonic()
        if self._lines is None:
            self._lines = self._before(progress.step)
        pace = self._pace(progress.step, now)
        self._lines.append(json.dumps({"schema": 1, **asdict(progress), "steps_per_s": pace}))
        validation = "".join(f", validation {name} {value:.3f}" for name, value in (progress.validation or {}).items())
        log.info(
            "step %d of %d, epoch %d: loss %.4f%s, %s steps/s",
            progress.step,
            progress.steps,
            progress.epoch,
            progress.loss,
            validation,
            "?" if pace is None else f"{pace:.2f}",
        )
        if now - self._written >= _WRITE_S or progress.step == progress.steps:
            self.write()

    def write(self) -> None:
        """Write the file now, if there is any report."""
        if self._lines is not None:
            self._store.put(self._key, "".join(f"{line}\n" for line in self._lines).encode())
            self._written = time.monotonic()

    def _pace(self, step: int, now: float) -> float | None:
        """Steps per second since the first report of this process."""
        if self._first is None:
            self._first, self._began = step, now
            return None
        return round((step - self._first) / max(now - self._began, 1e-9), 3)

    def _before(self, step: int) -> list[str]:
        """Return the lines of the file about the steps before this one."""
        try:
            lines = self._store.get(self._key).body.decode().splitlines()
        except NotFound:
            return []
        return [line for line in lines if json.loads(line)["step"] < step]


class RecordedCheckpoints(StoredCheckpoints):
    """Writes the record before each checkpoint, since an attempt that continues from the checkpoint does not repeat the
    steps before it."""

    def __init__(self, store: ObjectStore, prefix: str, record: StepRecord) -> None:
        super().__init__(store, prefix)
        self._record = record

    def part(self, name: str) -> RecordedCheckpoints:
        return RecordedCheckpoints(self._store, f"{self._prefix}{name}/", self._record)

    def put(self, step: int, folder: Path) -> None:
        self._record.write()
        super().put(step, folder)


def run_hooks(context: RunContext, record: StepRecord) -> Hooks:
    """Return the hooks of one attempt: reports go to the log, to ``record`` and to the run's progress, and checkpoints
    to the run's folder."""

    def report(progress: Progress) -> None:
        record.add(progress)
        context.progress("training", progress.step, progress.steps, "steps")

    return Hooks(
        report=report,
        checkpoints=RecordedCheckpoints(context.job.store, context.keys.folder(CHECKPOINTS), record),
        checkpoint_seconds=TrainSettings().checkpoint_seconds,
    )


def step_record(context: RunContext) -> StepRecord:
    """Return the record of one attempt."""
    return StepRecord(context.job.store, context.attempt_folder + "metrics.jsonl")
