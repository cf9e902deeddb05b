"""Fine-tune for a run: where the base, the checkpoints and the record of the steps are. Needs no Ray."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import asdict
from pathlib import Path

from jobs.context import RunContext
from tornio.errors import NotFound
from tornio.models.finetuned import FineTunedModel
from tornio.schemas.registry import EncoderUse
from tornio.settings import TrainSettings
from tornio.spec import TaskSpec
from tornio.storage.port import ObjectStore
from tornio.tasks import TrainingSet
from tornio.training.checkpoints import StoredCheckpoints
from tornio.training.supervised import Progress, fit

log = logging.getLogger(__name__)
CHECKPOINTS = "training"
"""Folder of a run's checkpoints: one for all attempts, so that the next goes on where the last one died."""
_WRITE_S = 5.0
"""Seconds between two writes of metrics.jsonl."""


def fine_tune(
    context: RunContext, spec: TaskSpec, data: TrainingSet, use: EncoderUse, seed: int, folder: Path
) -> FineTunedModel | None:
    """The model of these labels, in this empty folder; one that was interrupted goes on where it was. None in all
    workers but the first.

    Every report goes to the log, to whoever watches the run, and to ``metrics.jsonl`` in the attempt's folder.
    """
    record = StepRecord(context.job.store, context.attempt_folder + "metrics.jsonl")
    checkpoints = RecordedCheckpoints(context.job.store, context.keys.folder(CHECKPOINTS), record)

    def report(progress: Progress) -> None:
        record.add(progress)
        context.progress("training", progress.step, progress.steps, "steps")

    model = fit(
        data.texts,
        data.labels,
        spec.label_names,
        spec.multi_label,
        context.job.loader.base_folder(use),
        use,
        folder,
        spec.classifier.fine_tuning,
        seed,
        precision=context.job.loader.precision,
        report=report,
        checkpoints=checkpoints,
        checkpoint_seconds=TrainSettings().checkpoint_seconds,
    )
    if model is not None:
        record.write()
    return model


def forget_checkpoints(context: RunContext) -> None:
    """The run's version is published: nothing goes on from them any more."""
    StoredCheckpoints(context.job.store, context.keys.folder(CHECKPOINTS)).clear()


class StepRecord:
    """``metrics.jsonl``: one line a report. A training that goes on in the same attempt goes on in the same file."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        self._store = store
        self._key = key
        self._lines: list[str] | None = None
        self._began = self._written = time.monotonic()
        self._first: int | None = None

    def add(self, progress: Progress) -> None:
        """Note a report, and say it in the log."""
        now = time.monotonic()
        if self._lines is None:
            self._lines = self._before(progress.step)
        pace = self._pace(progress.step, now)
        self._lines.append(json.dumps({"schema": 1, **asdict(progress), "steps_per_s": pace}))
        told = "" if progress.validation is None else f", validation F1 {progress.validation['f1']:.3f}"
        log.info(
            "step %d of %d, epoch %d: loss %.4f%s, %s steps/s",
            progress.step, progress.steps, progress.epoch, progress.loss, told, "?" if pace is None else f"{pace:.2f}",
        )  # fmt: skip
        if now - self._written >= _WRITE_S or progress.step == progress.steps:
            self.write()

    def write(self) -> None:
        if self._lines is not None:
            self._store.put(self._key, "".join(f"{line}\n" for line in self._lines).encode())
            self._written = time.monotonic()

    def _pace(self, step: int, now: float) -> float | None:
        """Steps a second since the first report of this process."""
        if self._first is None:
            self._first, self._began = step, now
            return None
        return round((step - self._first) / max(now - self._began, 1e-9), 3)

    def _before(self, step: int) -> list[str]:
        """What the file tells of the steps before this one."""
        try:
            lines = self._store.get(self._key).body.decode().splitlines()
        except NotFound:
            return []
        return [line for line in lines if json.loads(line)["step"] < step]


class RecordedCheckpoints(StoredCheckpoints):
    """Writes the record before each checkpoint: whoever goes on from there does not make the steps before it again."""

    def __init__(self, store: ObjectStore, prefix: str, record: StepRecord) -> None:
        super().__init__(store, prefix)
        self._record = record

    def put(self, step: int, folder: Path) -> None:
        self._record.write()
        super().put(step, folder)
