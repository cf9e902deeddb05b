"""The real backend: use cases over documents in the object store, models of this process, other deployments."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from services.gateway.auditing import Auditor
from services.gateway.cluster import Cluster, Models
from services.gateway.live_texts import StoreLiveTexts
from services.gateway.run_records import StoreRuns
from services.gateway.served import StoreServed
from services.gateway.stored_uploads import StoreUploads
from services.messages import ControllerStatus
from tornio.api import (
    Annotators,
    Applied,
    Asked,
    DeleteIn,
    DriftStatus,
    LabelMigrationIn,
    LabelsImported,
    LabelsIn,
    Prediction,
    Readiness,
    RecordIn,
    RecordsAdded,
    RecordsDeleted,
    RollbackIn,
    Serving,
    TaskName,
    TaskStatus,
    TaskSummary,
    VersionOut,
    ZeroShotIn,
    ZeroShotOut,
)
from tornio.errors import Conflict, NotServable, TornioError
from tornio.loop.first import no_version
from tornio.registry import CURRENT, Registry
from tornio.schemas.audit import Act
from tornio.schemas.keys import TaskKeys
from tornio.settings import LlmEndpoint
from tornio.spec import TaskSpec, TeacherSpec
from tornio.status.annotators import read_annotators
from tornio.status.asks import Ask, ask_of_loop, ask_training
from tornio.status.snapshot import Reader, Snapshot
from tornio.status.task_status import observed, serving, task_status, task_summary
from tornio.status.versions import read_versions
from tornio.storage.port import ObjectStore
from tornio.tasks import (
    Deletion,
    LabelsExport,
    Task,
    Tasks,
    delete_records,
    export_labels,
    match_records,
    new_record,
    preview_deletion,
    roll_back,
)
from tornio.tasks.annotatable import MAX_LABELS
from tornio.tasks.relabelling import Relabelling, relabelled
from tornio.tasks.tasks import Applied as Change

log = logging.getLogger(__name__)

T = TypeVar("T")

THREADS = 16
"""Most calls to the store at once. They wait far more than they work."""
_ACTS = {Ask.PAUSE: Act.PAUSE, Ask.RESUME: Act.RESUME, Ask.TRAIN_NOW: Act.TRAIN_NOW}
NUDGE_AGAIN_S = (1.0, 5.0, 20.0)
"""Seconds after each failed try to wake the controller. One that starts looks at every task anyway."""
READY_S = 2.0
"""Seconds that the store may take to answer a readiness probe."""


@dataclass
class StoreBackend:
    """Implements ``Backend``. ``annotate_url``: where people annotate. ``max_labels``, ``endpoints``: as for ``Tasks``.

    ``answers_s``: seconds until the controller has read new answers.
    """

    store: ObjectStore
    cluster: Cluster
    models: Models
    annotate_url: str | None = None
    max_labels: int = MAX_LABELS
    endpoints: Mapping[str, LlmEndpoint] = field(default_factory=dict)
    answers_s: float = 2.0
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "store"))
    _readers: dict[TaskName, Reader] = field(default_factory=dict)
    _background: set[asyncio.Task[None]] = field(default_factory=set)
    _probe: asyncio.Future[None] | None = None

    def __post_init__(self) -> None:
        self._tasks = Tasks(self.store, self.max_labels, self.endpoints)
        self.audit = audit = Auditor(self.store, self.clock, self._blocking)
        self.runs = StoreRuns(self.store, self.cluster, self.clock, self._blocking, self._nudge, audit)
        self.uploads = StoreUploads(self.store, self.clock, self._blocking, audit)
        self.served = StoreServed(self.store, self.models, self._blocking, audit, self._nudge)
        self.live_texts = StoreLiveTexts(self._open, self._blocking, self._nudge, audit, self.clock)

    # Specs, records and labels

    async def apply(self, spec: TaskSpec, who: str, migrate: bool = False) -> Applied:
        task = TaskName(spec.workspace, spec.name)
        async with self.audit.act(Act.APPLY, who, task, migrate_labels=migrate) as found:
            applied = await self._blocking(self._tasks.apply, spec, who, migrate)
            found |= {"created": applied.created, "spec_rev": applied.spec_rev, "changes": len(applied.changes)}
        self._nudge(task)
        return _applied(task, applied)

    async def migrate_labels(self, task: TaskName, wanted: LabelMigrationIn, who: str) -> Applied:
        change = Relabelling(wanted.rename, wanted.merge, wanted.remove, wanted.add)

        def migrate() -> Change:
            opened = self._open(task)
            rev, spec = opened.document.spec_rev, relabelled(opened.spec, change)
            if wanted.dry_run:
                return self._tasks.preview(spec)
            return self._tasks.apply(spec, who, migrate=True, expected_rev=wanted.expected_spec_rev or rev)

        if wanted.dry_run:
            return _applied(task, await self._blocking(migrate))
        async with self.audit.act(Act.MIGRATE_LABELS, who, task) as found:
            applied = await self._blocking(migrate)
            found |= {"spec_rev": applied.spec_rev, "changes": len(applied.changes)}
        self._nudge(task)
        return _applied(task, applied)

    async def add_records(
        self, task: TaskName, records: Sequence[RecordIn], who: str, *, duplicates: bool = False
    ) -> RecordsAdded:
        new = [new_record(one) for one in records]
        async with self.audit.act(Act.ADD_RECORDS, who, task, records=len(new)) as found:
            added = await self._blocking(lambda: self._open(task).add_records(new, duplicates=duplicates))
            found["added"] = added.added
        self._nudge(task)
        return RecordsAdded(added=added.added, known=added.known, same_text=added.same_text, deleted=added.deleted)

    async def import_labels(self, task: TaskName, labels: LabelsIn, who: str) -> LabelsImported:
        kind = "auto" if labels.auto else "import"
        source = f"{kind}:{labels.source}" if labels.source else f"api:{who}"

        def write() -> LabelsImported:
            opened = self._open(task)
            items = match_records(opened.view(), labels.labels)
            done = opened.import_labels(items, labels.purpose, source, labels.request, auto=labels.auto)
            return LabelsImported.model_validate(done, from_attributes=True)

        given = len(labels.labels)
        async with self.audit.act(Act.IMPORT_LABELS, who, task, purpose=labels.purpose, labels=given) as found:
            imported = await self._blocking(write)
            found["imported"] = imported.imported
        self._nudge(task)
        return imported

    async def delete_records(self, task: TaskName, asked: DeleteIn, who: str) -> RecordsDeleted:
        def delete() -> Deletion:
            opened = self._open(task)
            if asked.dry_run:
                return preview_deletion(opened, asked.record_ids)
            return delete_records(opened, asked.record_ids, who)

        if asked.dry_run:
            return RecordsDeleted.model_validate(await self._blocking(delete), from_attributes=True)
        async with self.audit.act(Act.DELETE_RECORDS, who, task, records=len(asked.record_ids)) as found:
            done = await self._blocking(delete)
            found["deleted"] = done.records
        self._nudge(task)
        return RecordsDeleted.model_validate(done, from_attributes=True)

    async def labels(self, task: TaskName, who: str) -> LabelsExport:
        async with self.audit.act(Act.EXPORT_LABELS, who, task) as found:
            export = await self._blocking(lambda: export_labels(self._open(task)))
            found["labels"] = export.count
        return export

    # Predictions

    async def predict(self, task: TaskName, texts: Sequence[str], version: str | None = None) -> Sequence[Prediction]:
        try:
            return await self.models.predict(task, texts, version)
        except NotServable as error:
            controller = await self._controller(task)
            why = controller if isinstance(controller, str) else controller.first_version or controller.why
            raise NotServable(no_version(str(task), why.removesuffix("."))) from error

    async def zero_shot(self, asked: ZeroShotIn) -> ZeroShotOut:
        templates = TeacherSpec().templates if asked.templates is None else asked.templates
        return await self.cluster.score(asked.texts, asked.label_specs(), templates, asked.multi_label)

    # Status

    async def tasks(self, sees: Callable[[TaskName], bool]) -> Sequence[TaskSummary]:
        names = await self._blocking(lambda: [TaskName(*name) for name in self._tasks.names()])
        return await asyncio.gather(*(self._summary(name) for name in names if sees(name)))

    async def _summary(self, task: TaskName) -> TaskSummary:
        """Return a task's row. A broken task has its error in it, and does not hide the others."""
        registry = Registry(self.store, TaskKeys(task.workspace, task.task))
        try:
            controller, current = await asyncio.gather(
                self._controller(task), self._blocking(lambda: registry.alias(CURRENT))
            )
        except TornioError as error:
            log.warning("%s cannot be read: %s", task, error)
            controller, current = str(error), None
        return task_summary(task, controller, current)

    async def status(self, task: TaskName) -> TaskStatus:
        def read() -> tuple[Snapshot, DriftStatus | None]:
            reader = self._reader(task)
            snapshot = reader.snapshot()
            current = snapshot.current[0] if snapshot.current else None
            return snapshot, None if current is None else reader.drift(current.version, self.clock())

        (snapshot, drift), controller = await asyncio.gather(self._blocking(read), self._controller(task))
        # In a thread: a stopping criterion of a package runs in it.
        return await self._blocking(task_status, snapshot, controller, self.clock(), self.annotate_url, drift)

    async def annotators(self, task: TaskName) -> Annotators:
        controller = await self._controller(task)
        away, names = (controller, {}) if isinstance(controller, str) else (None, controller.accounts)
        return await self._blocking(lambda: read_annotators(self._open(task), names, away, self.clock()))

    async def versions(self, task: TaskName) -> Sequence[VersionOut]:
        return await self._blocking(lambda: read_versions(self._reader(task)))

    async def ready(self) -> Readiness:
        store, classifier = await self._store_state(), self._classifier_state()
        return Readiness(ready=store == classifier == "ok", parts={"object store": store, "classifier": classifier})

    # What users ask of the loop

    async def rollback(self, task: TaskName, asked: RollbackIn, who: str) -> Serving:
        def move() -> Serving:
            return serving(roll_back(self._open(task), who, asked.why, asked.expected_revision))

        async with self.audit.act(Act.ROLLBACK, who, task) as found:
            moved = await self._blocking(move)
            found |= {"version": moved.version, "revision": moved.revision}
        self._nudge(task)
        return moved

    async def ask(self, task: TaskName, ask: Ask, who: str, force: bool = False) -> Asked:
        async with self.audit.act(_ACTS[ask], who, task):
            if ask is Ask.TRAIN_NOW:
                answer = await self._ask_training(task, force)
            else:
                answer = await self._blocking(ask_of_loop, self._open(task), ask)
        self._nudge(task)
        return answer

    async def _ask_training(self, task: TaskName, force: bool) -> Asked:
        def asked() -> Asked:
            reader = self._reader(task)
            return ask_training(reader.task, observed(reader.snapshot(), self.clock()), force)

        try:
            return await self._blocking(asked)
        except Conflict:  # the answers of the last seconds may not have been read from the annotation tool
            self._nudge(task)
            await asyncio.sleep(self.answers_s)
            return await self._blocking(asked)

    # How the parts are reached

    async def _blocking(self, call: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *args)

    def _open(self, task: TaskName) -> Task:
        return self._tasks.open(task.workspace, task.task)

    def _reader(self, task: TaskName) -> Reader:
        opened = self._open(task)
        reader = self._readers.get(task)
        if reader is None or reader.task is not opened:
            reader = self._readers[task] = Reader(self.store, opened)
        return reader

    async def _controller(self, task: TaskName) -> ControllerStatus | str:
        """Return the controller's status of the task, or why it does not answer."""
        try:
            return await self.cluster.controller_status(task)
        except TornioError as error:
            return str(error)

    def _nudge(self, task: TaskName) -> None:
        """Make the controller look at the task. Not awaited: without it, the controller only looks later."""

        async def nudge() -> None:
            for pause in NUDGE_AGAIN_S:
                try:
                    await self.cluster.nudge(task)
                    return
                except TornioError as error:
                    log.warning("%s: the controller was not notified (%s). Trying again in %g s.", task, error, pause)
                await asyncio.sleep(pause)
            log.warning("%s: the controller was not notified. It sees for itself within a minute.", task)

        self._in_background(nudge())

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        running = asyncio.get_running_loop().create_task(work)
        self._background.add(running)  # the event loop keeps weak references only
        running.add_done_callback(self._background.discard)

    def _classifier_state(self) -> str:
        """Return 'ok', or the error."""
        try:
            self.models.check()
        except RuntimeError as error:
            return str(error)
        return "ok"

    async def _store_state(self) -> str:
        """Return 'ok', or the error. One probe at a time: while the store is away, each would hold a thread."""
        if self._probe is None or self._probe.done():
            self._probe = asyncio.ensure_future(self._blocking(self._touch_store))
        try:
            await asyncio.wait_for(asyncio.shield(self._probe), READY_S)
        except TimeoutError:
            return f"no answer within {READY_S:g} s"
        except TornioError as error:
            return str(error)
        return "ok"

    def _touch_store(self) -> None:
        self.store.head("tornio-ready")


def _applied(task: TaskName, applied: Change) -> Applied:
    return Applied(
        workspace=task.workspace,
        task=task.task,
        created=applied.created,
        spec_rev=applied.spec_rev,
        changes=[f"{one} ({one.change})" for one in applied.changes],
        labels=list(applied.fates),
    )
