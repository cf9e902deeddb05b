"""What the HTTP API needs of the rest of the house, as a port: the real one, or a fake in tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tornio.api import (
    Applied,
    Asked,
    LabelledRecord,
    LabelsImported,
    LabelsIn,
    PredictionOut,
    Readiness,
    RecordIn,
    RecordsAdded,
    RollbackIn,
    RunOut,
    ScoreIn,
    Serving,
    TaskName,
    TaskStatus,
    TaskSummary,
    VersionOut,
    ZeroShotIn,
    ZeroShotOut,
)
from tornio.spec import TaskSpec


class Ask(StrEnum):
    """What a user may ask of the loop."""

    PAUSE = "pause"
    RESUME = "resume"
    TRAIN_NOW = "train-now"


@dataclass(frozen=True, slots=True)
class LabelsExport:
    """``records`` yields ``count`` of them; it blocks, so it is for a thread."""

    count: int
    records: Iterator[LabelledRecord]


class RunsBackend(Protocol):
    """The runs of tasks. Raises NotFound for an unknown task, Unavailable for a part that is away."""

    async def start(self, task: TaskName, job: str, asked: ScoreIn, who: str) -> RunOut:
        """Ask for a run; one that is under way or done is told as it is. Raises InvalidFile, NotFound, Forbidden."""

    async def newest(self, task: TaskName, most: int) -> Sequence[RunOut]:
        """The loop's and those that were asked for, newest first."""

    async def get(self, task: TaskName, run: str) -> RunOut:
        """Raises NotFound."""

    async def cancel(self, task: TaskName, run: str, who: str) -> RunOut:
        """Raises NotFound, and Conflict for a run that is over or the loop's."""


class Backend(Protocol):
    """Raises the errors of ``tornio.errors``: NotFound for an unknown task, Unavailable for a part that is away."""

    @property
    def runs(self) -> RunsBackend: ...

    async def apply(self, spec: TaskSpec, who: str) -> Applied:
        """Create the task, or change its spec. Raises ChangeRefused."""

    async def tasks(self, sees: Callable[[str], bool]) -> Sequence[TaskSummary]:
        """The tasks of the workspaces that ``sees`` accepts, by name; one that cannot be read says why."""

    async def status(self, task: TaskName) -> TaskStatus:
        """Answers also while the controller is away."""

    async def add_records(self, task: TaskName, records: Sequence[RecordIn]) -> RecordsAdded:
        """Idempotent by record id. Raises InvalidInput where one id is given two texts."""

    async def import_labels(self, task: TaskName, labels: LabelsIn, who: str) -> LabelsImported:
        """Raises InvalidInput for a label that the task does not have."""

    async def labels(self, task: TaskName) -> LabelsExport:
        """What the task takes as true now."""

    async def predict(self, task: TaskName, texts: Sequence[str]) -> Sequence[PredictionOut]:
        """In the order of ``texts``. Raises NotServable."""

    async def versions(self, task: TaskName) -> Sequence[VersionOut]:
        """Newest first."""

    async def rollback(self, task: TaskName, asked: RollbackIn, who: str) -> Serving:
        """``current`` names its previous version, and nothing is promoted until `resume`."""

    async def ask(self, task: TaskName, ask: Ask, who: str) -> Asked:
        """Write down what a user asks of the loop."""

    async def zero_shot(self, asked: ZeroShotIn) -> ZeroShotOut:
        """The teacher's answers, in the order of the texts."""

    async def ready(self) -> Readiness:
        """Whether predictions can be answered."""
