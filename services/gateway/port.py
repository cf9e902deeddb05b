"""What the HTTP API needs of the other parts, as a port: the real backend, or a fake in tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from services.gateway.served import ServedModels
from tornio.api import (
    Annotators,
    Applied,
    Asked,
    AuditPage,
    DeleteIn,
    LabelMigrationIn,
    LabelsImported,
    LabelsIn,
    Prediction,
    Readiness,
    RecordIn,
    RecordsAdded,
    RecordsDeleted,
    RollbackIn,
    RunFiles,
    RunOut,
    RunRequest,
    RunRows,
    Serving,
    TaskName,
    TaskStatus,
    TaskSummary,
    UploadIn,
    UploadOut,
    UploadPartOut,
    Uploads,
    VersionOut,
    ZeroShotIn,
    ZeroShotOut,
)
from tornio.audit import Detail
from tornio.schemas.audit import Act
from tornio.spec import TaskSpec
from tornio.status.asks import Ask
from tornio.tasks import LabelsExport


class RunsBackend(Protocol):
    """The runs of tasks. Methods raise NotFound for an unknown task, Unavailable if a part is away."""

    async def start(self, task: TaskName, request: RunRequest, who: str) -> RunOut:
        """Ask for a run. One that is under way or done stays as it is. Raises InvalidFile, NotFound, Forbidden."""

    async def newest(self, task: TaskName, most: int, job: str | None = None) -> Sequence[RunOut]:
        """Return the runs of the loop and of users, newest first. ``job``: only those of this job."""

    async def get(self, task: TaskName, run: str) -> RunOut:
        """Return a run. Raises NotFound."""

    async def rows(self, task: TaskName, run: str, most: int) -> RunRows:
        """Return the first rows of a result. Raises NotFound, and Conflict for a run that is not done."""

    async def files(self, task: TaskName, run: str, who: str) -> RunFiles:
        """Return the files of a result. Raises NotFound, and Conflict for a run that is not done."""

    async def file(self, task: TaskName, run: str, name: str, etag: str, start: int) -> bytes:
        """Return at most ``FILE_BYTES`` bytes of a file of a result as it was listed. Raises NotFound, Conflict."""

    async def cancel(self, task: TaskName, run: str, who: str) -> RunOut:
        """End a run. Raises NotFound, and Conflict for a run that is over or that belongs to the loop."""


class AuditBackend(Protocol):
    """The audit log of workspaces."""

    def act(
        self, act: Act, who: str, task: TaskName, **detail: int | str | bool | None
    ) -> AbstractAsyncContextManager[Detail]:
        """Run the body as an act of ``who``, which the log has. Raises Unavailable where it cannot be written down."""

    async def newest(self, workspace: str, most: int, task: str | None = None, after: str | None = None) -> AuditPage:
        """Return who did what, newest first. ``after``: the id of an event; older ones follow. Raises Unavailable."""


class UploadsBackend(Protocol):
    """Files that users send to a workspace. Methods raise NotFound for an unknown upload."""

    async def begin(self, workspace: str, name: str, wanted: UploadIn, who: str) -> UploadOut:
        """Begin an upload, or go on with it. Raises InvalidInput for too large a file, Conflict at the quota."""

    async def put_part(self, workspace: str, name: str, number: int, body: bytes) -> UploadPartOut:
        """Take a part. Raises InvalidInput for a part of another size."""

    async def complete(self, workspace: str, name: str, who: str) -> UploadOut:
        """Put the parts together. Not ``whole`` in the answer: it takes longer. Raises Conflict, InvalidInput."""

    async def delete(self, workspace: str, name: str, who: str) -> UploadOut:
        """Delete an upload, and return what it was."""

    async def get(self, workspace: str, name: str) -> UploadOut:
        """Return an upload."""

    async def all(self, workspace: str) -> Uploads:
        """Return the uploads of a workspace."""


class Backend(Protocol):
    """Methods raise the errors of ``tornio.errors``: NotFound for an unknown task, Unavailable if a part is away.

    ``who``: the name of the caller's key. A method that changes something, or gives out what the task knows, has it and
    writes it into the audit log.
    """

    @property
    def runs(self) -> RunsBackend: ...

    @property
    def audit(self) -> AuditBackend: ...

    @property
    def uploads(self) -> UploadsBackend: ...

    @property
    def served(self) -> ServedModels: ...

    async def apply(self, spec: TaskSpec, who: str, migrate: bool = False) -> Applied:
        """Create the task, or change its spec. ``migrate``: also its labels. Raises ChangeRefused."""

    async def migrate_labels(self, task: TaskName, wanted: LabelMigrationIn, who: str) -> Applied:
        """Change the task's labels, or say what would become of them. Raises ChangeRefused, InvalidSpec."""

    async def tasks(self, sees: Callable[[TaskName], bool]) -> Sequence[TaskSummary]:
        """Return the tasks that ``sees`` accepts, by name. An unreadable task has its error."""

    async def status(self, task: TaskName) -> TaskStatus:
        """Return the status of a task. Answers also while the controller is away."""

    async def add_records(
        self, task: TaskName, records: Sequence[RecordIn], who: str, *, duplicates: bool = False
    ) -> RecordsAdded:
        """Add texts to the pool. Idempotent by record id. Raises InvalidInput if one id is given two texts.

        ``duplicates``: also add records whose text the pool has under another id.
        """

    async def import_labels(self, task: TaskName, labels: LabelsIn, who: str) -> LabelsImported:
        """Import labels that exist already. Raises InvalidInput for a label that the task does not have."""

    async def delete_records(self, task: TaskName, asked: DeleteIn, who: str) -> RecordsDeleted:
        """Delete records of the pool, or say what that would do. Raises InvalidInput for an unknown record."""

    async def labels(self, task: TaskName, who: str) -> LabelsExport:
        """Return what the task takes as true now."""

    async def predict(self, task: TaskName, texts: Sequence[str], version: str | None = None) -> Sequence[Prediction]:
        """Return a prediction per text, in their order. Raises NotServable.

        ``version``: a version's name, or ``previous``. None means the one that serves.
        """

    async def annotators(self, task: TaskName) -> Annotators:
        """Return how the annotators of a task agree."""

    async def versions(self, task: TaskName) -> Sequence[VersionOut]:
        """Return the versions of a task, newest first."""

    async def rollback(self, task: TaskName, asked: RollbackIn, who: str) -> Serving:
        """Serve the previous version again. Nothing is promoted until `resume`."""

    async def ask(self, task: TaskName, ask: Ask, who: str, force: bool = False) -> Asked:
        """Write down what a user asks of the loop. Return what follows from it.

        ``force``: train even if no label is new. Without it, such a request raises Conflict.
        """

    async def zero_shot(self, asked: ZeroShotIn) -> ZeroShotOut:
        """Return the teacher's answers, in the order of the texts."""

    async def ready(self) -> Readiness:
        """Return whether predictions can be answered."""
