"""A backend in memory, and a server without sockets: the app itself behind httpx."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import httpx
from fastapi import FastAPI

from services.gateway.app import PROTOCOLS, WireProtocol, create_app
from services.gateway.auditing import Auditor
from services.gateway.auth import FixedKeys, KeyRing, read_keys
from services.gateway.served import ServedModel
from services.gateway.sessions.port import Sessions
from services.gateway.stored_uploads import StoreUploads
from tornio.api import (
    Annotators,
    Applied,
    Asked,
    AsksStatus,
    AuditEventOut,
    AuditPage,
    DeleteIn,
    HoldoutStatus,
    LabelIn,
    LabelledRecord,
    LabelMigrationIn,
    LabelsImported,
    LabelsIn,
    LearnedOut,
    ModelIn,
    Prediction,
    PromoteIn,
    Readiness,
    RecordIn,
    RecordsAdded,
    RecordsDeleted,
    RollbackIn,
    RunFileOut,
    RunFiles,
    RunOut,
    RunRequest,
    RunRows,
    Serving,
    StopStatus,
    TaskName,
    TaskStatus,
    TaskSummary,
    VersionOut,
    ZeroShotIn,
    ZeroShotOut,
    ZeroShotPrediction,
)
from tornio.audit import Detail
from tornio.errors import Changed, ChangeRefused, Conflict, InvalidInput, NotFound, NotServable, Unavailable
from tornio.exchange.bundle import Bundle
from tornio.loop.first import no_version
from tornio.records import default_record_id
from tornio.schemas.audit import Act
from tornio.settings import UploadSettings
from tornio.spec import TaskSpec
from tornio.status.asks import Ask
from tornio.storage.memory import MemoryStore
from tornio.tasks import LabelsExport, Tasks

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
ADMIN, OPERATOR = "admin-key-of-tests", "operator-key-of-tests"
ANNOTATOR, PREDICTOR = "annotator-key-of-tests", "predictor-key-of-tests"
KEYS = f"""[
  {{"name": "admin", "key": "{ADMIN}", "workspaces": ["acme"], "role": "admin"}},
  {{"name": "annotator", "key": "{ANNOTATOR}", "workspaces": ["acme"], "role": "annotate"}},
  {{"name": "operator", "key": "{OPERATOR}", "workspaces": ["acme"], "role": "operate"}},
  {{"name": "predictor", "key": "{PREDICTOR}", "workspaces": ["acme"], "role": "predict"}}
]"""


@dataclass
class FakeTask:
    spec: TaskSpec
    rev: int = 1
    records: dict[str, RecordIn] = field(default_factory=dict)
    labels: dict[str, LabelIn] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    serving: Serving | None = None
    asks: AsksStatus = field(default_factory=AsksStatus)
    versions: list[VersionOut] = field(default_factory=list)
    annotators: Annotators = field(default_factory=lambda: Annotators(annotators=[]))
    status: TaskStatus | None = None
    """In place of the one that the fake makes up."""


@dataclass
class FakeRuns:
    """``tests`` may put runs in by hand, by the task's full name."""

    held: dict[str, list[RunOut]] = field(default_factory=dict)
    asked: list[RunRequest] = field(default_factory=list)
    rows_of: dict[str, list[list[str]]] = field(default_factory=dict)
    columns: list[str] = field(default_factory=lambda: ["loss", "text"])
    files_of: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Files of a result, by run."""
    fetched: list[str] = field(default_factory=list)
    piece: int = 8 << 20
    """Bytes of an answer."""

    async def start(self, task: TaskName, request: RunRequest, who: str) -> RunOut:
        self.asked.append(request)
        job = request.job
        run = RunOut(
            run=f"{job}-{len(self.asked):020d}", job=job, state="waiting", attempt=0, asked_by=who, asked_at=NOW
        )
        self.held.setdefault(str(task), []).insert(0, run)
        return run

    async def newest(self, task: TaskName, most: int, job: str | None = None) -> Sequence[RunOut]:
        return [run for run in self.held.get(str(task), []) if job in (None, run.job)][:most]

    async def get(self, task: TaskName, run: str) -> RunOut:
        for held in self.held.get(str(task), []):
            if held.run == run:
                return held
        raise NotFound(f"there is no run {run} in {task}: `tornio runs` lists those that there are")

    async def rows(self, task: TaskName, run: str, most: int) -> RunRows:
        await self._done(task, run)
        return RunRows(columns=self.columns, rows=self.rows_of.get(run, [])[:most])

    async def files(self, task: TaskName, run: str, who: str) -> RunFiles:
        await self._done(task, run)
        files = self.files_of.get(run, {})
        return RunFiles(files=[RunFileOut(name=name, size=len(files[name]), etag=f'"{name}"') for name in files])

    async def file(self, task: TaskName, run: str, name: str, etag: str, start: int) -> bytes:
        await self._done(task, run)
        if name not in self.files_of.get(run, {}):
            raise NotFound(f"no file {name}")
        if etag != f'"{name}"':
            raise Changed("not the file that was listed")
        self.fetched.append(name)
        return self.files_of[run][name][start : start + self.piece]

    async def _done(self, task: TaskName, run: str) -> None:
        if (state := (await self.get(task, run)).state) != "done":
            raise Conflict(f"run {run} is {state}, and has no result before it is done")

    async def cancel(self, task: TaskName, run: str, who: str) -> RunOut:
        found = await self.get(task, run)
        if found.state == "done":
            raise Conflict(f"run {run} is done already: there is nothing to cancel")
        ended = found.model_copy(update={"state": "cancelled", "finished_at": NOW})
        self.held[str(task)] = [ended if held is found else held for held in self.held[str(task)]]
        return ended


def audited(number: int) -> AuditEventOut:
    """An event of acme/support. Its number tells it from others, older ones have larger ones."""
    return AuditEventOut(
        id=f"{number:013d}-0123456789ab-support", at=NOW, who="data-team", act="rollback", workspace="acme",
        task="support", detail={"revision": number, "version": None}, outcome="refused", error="Conflict",
    )  # fmt: skip


@dataclass
class FakeAudit:
    """``tests`` may put events in by hand, newest first. A page has two at most."""

    held: list[AuditEventOut] = field(default_factory=list)
    acts: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def act(self, act: Act, who: str, task: TaskName, **detail: int | str | bool | None) -> AsyncIterator[Detail]:
        self.acts.append(f"{act} of {task} by {who}")
        yield {}

    async def newest(self, workspace: str, most: int, task: str | None = None, after: str | None = None) -> AuditPage:
        events = [one for one in self.held if one.workspace == workspace and task in (None, one.task)]
        events = [one for one in events if after is None or one.id > after]
        page = events[: min(most, 2)]
        return AuditPage(events=page, next=page[-1].id if len(events) > len(page) else None)


async def _at_once(call: Callable[..., Any], *args: Any) -> Any:
    return call(*args)


def uploads_in_memory() -> StoreUploads:
    """``blocking`` calls in the same thread. The acts are in an audit log of their own. Workspace acme has a task."""
    audit, store = Auditor(MemoryStore(), lambda: NOW, _at_once), MemoryStore()
    Tasks(store).apply(TaskSpec.model_validate({"workspace": "acme", "name": "support", "labels": ["a", "b"]}), "test")
    return StoreUploads(store, lambda: NOW, _at_once, audit, UploadSettings(max_mib=64, quota_mib=100))


@dataclass
class FakeBackend:
    """``tests`` may put tasks, versions and errors in by hand."""

    uploads: StoreUploads = field(default_factory=uploads_in_memory, kw_only=True)

    runs: FakeRuns = field(default_factory=FakeRuns, kw_only=True)
    audit: FakeAudit = field(default_factory=FakeAudit, kw_only=True)
    asleep: set[TaskName] = field(default_factory=set, kw_only=True)
    """Tasks whose models no replica holds. Asking for one wakes it."""
    held: dict[TaskName, FakeTask] = field(default_factory=dict)
    fails: Exception | None = None
    fail_times: int = 10**9
    calls: list[str] = field(default_factory=list)
    is_ready: bool = True
    exported: bytes = b""
    """A bundle, as a tar."""

    def _task(self, name: TaskName) -> FakeTask:
        if self.fails is not None and self.fail_times > 0:
            self.fail_times -= 1
            raise self.fails
        if name not in self.held:
            raise NotFound(f"there is no task {name}: make it with `tornio apply`")
        return self.held[name]

    def serve(self, name: str, version: str = "v1", revision: int = 1, previous: str | None = None) -> None:
        self.held[TaskName.parse(name)].serving = Serving(
            version=version, revision=revision, previous=previous, who="controller", why="passed", since=NOW
        )

    async def apply(self, spec: TaskSpec, who: str, migrate: bool = False) -> Applied:
        self.calls.append(f"apply by {who}")
        name = TaskName(spec.workspace, spec.name)
        task = self.held.get(name)
        if task is None:
            self.held[name] = FakeTask(spec)
            return Applied(workspace=name.workspace, task=name.task, created=True, spec_rev=1)
        if task.spec.multi_label != spec.multi_label:
            raise ChangeRefused("multi_label cannot change on a living task: make a new task")
        changes = [] if task.spec == spec else ["loop.batch_size: 20 -> 10 (live)"]
        task.rev += bool(changes)
        task.spec = spec
        return Applied(workspace=name.workspace, task=name.task, created=False, spec_rev=task.rev, changes=changes)

    async def migrate_labels(self, task: TaskName, wanted: LabelMigrationIn, who: str) -> Applied:
        held = self._task(task)
        self.calls.append("preview of labels" if wanted.dry_run else f"migrate labels by {who}")
        labels = [f"{old!r} is renamed to {new!r}" for old, new in wanted.rename.items()]
        return Applied(workspace=task.workspace, task=task.task, created=False, spec_rev=held.rev, labels=labels)

    async def tasks(self, sees: Callable[[TaskName], bool]) -> Sequence[TaskSummary]:
        return [
            TaskSummary(
                workspace=name.workspace,
                task=name.task,
                phase="labelling",
                why="batch 1",
                version=held.serving.version if held.serving else None,
                revision=held.serving.revision if held.serving else None,
            )
            for name, held in self.held.items()
            if sees(name)
        ]

    async def status(self, task: TaskName) -> TaskStatus:
        held = self._task(task)
        if held.status is not None:
            return held.status
        return TaskStatus(
            workspace=task.workspace,
            task=task.task,
            phase="paused" if held.asks.paused else "labelling",
            why="batch g1-b0001: 3 of 20 answered",
            spec_rev=held.rev,
            generation=1,
            label_set_rev=1,
            labels=list(held.spec.label_names),
            multi_label=held.spec.multi_label,
            pool=len(held.records),
            training_labels=dict.fromkeys(held.spec.label_names, 0),
            holdout=HoldoutStatus(),
            serving=held.serving,
            stop=StopStatus(criterion="kappa-average", threshold=0.99),
            asks=held.asks,
        )

    async def delete_records(self, task: TaskName, asked: DeleteIn, who: str) -> RecordsDeleted:
        held = self._task(task)
        unknown = [one for one in asked.record_ids if one not in held.records]
        if unknown:
            raise InvalidInput(f"The pool has no record {unknown[0]!r}, so nothing was deleted.")
        new = [one for one in asked.record_ids if one not in held.deleted]
        if not asked.dry_run:
            self.calls.append(f"{who} deleted {new}")
            held.deleted.update(new)
        versions = [LearnedOut(version="v1", labelled=1, read=2)] if new else []
        return RecordsDeleted(
            records=len(new), already=len(asked.record_ids) - len(new), labelled=1, holdout=0, open=0, versions=versions
        )

    async def add_records(
        self, task: TaskName, records: Sequence[RecordIn], who: str, *, duplicates: bool = False
    ) -> RecordsAdded:
        held = self._task(task)
        self.calls.append(f"{len(records)} records")
        new = {record.record_id or default_record_id(record.text): record for record in records}
        known = len(new.keys() & held.records.keys())
        held.records |= new
        return RecordsAdded(added=len(new) - known, known=known)

    async def import_labels(self, task: TaskName, labels: LabelsIn, who: str) -> LabelsImported:
        held = self._task(task)
        self.calls.append(f"{len(labels.labels)} labels to {labels.purpose} from {labels.source} by {who}")
        for label in labels.labels:
            if unknown := set(label.labels) - set(held.spec.label_names):
                raise InvalidInput(f"unknown labels {sorted(unknown)}")
        held.labels |= {label.record_id or default_record_id(label.text): label for label in labels.labels}
        return LabelsImported(imported=len(labels.labels))

    async def labels(self, task: TaskName, who: str) -> LabelsExport:
        held = self._task(task)
        records = (
            LabelledRecord(record_id=name, text=label.text, labels=label.labels, purpose=None, source="import")
            for name, label in held.labels.items()
        )
        return LabelsExport(len(held.labels), records)

    async def predict(self, task: TaskName, texts: Sequence[str], version: str | None = None) -> Sequence[Prediction]:
        held = self._task(task)
        self.calls.append(f"predict {len(texts)}")
        if held.serving is None:
            raise NotServable(no_version(str(task), "the task is paused; `tornio resume` continues it"))
        name = self._version(task, version)
        first, *others = held.spec.label_names
        return [
            Prediction(
                labels=(first,),
                probabilities={first: 0.75} | dict.fromkeys(others, 0.25 / len(others)),
                truncated=len(text) > 1000,
                version=name,
                revision=held.serving.revision if name == held.serving.version else 0,
                multi_label=held.spec.multi_label,
            )
            for text in texts
        ]

    @property
    def served(self) -> Self:
        return self

    async def describe(self, task: TaskName, asked: str | None = None) -> ServedModel:
        held = self._task(task)
        if held.serving is None:
            raise NotServable(no_version(str(task), "nothing is labelled"))
        version, previous = held.serving.version, held.serving.previous
        return ServedModel(
            self._version(task, asked),
            (version, *([previous] if previous else ())),
            "few-shot",
            tuple(held.spec.label_names),
            held.spec.multi_label,
        )

    def _version(self, task: TaskName, version: str | None) -> str:
        serving = self.held[task].serving
        assert serving is not None
        name = {None: serving.version, "previous": serving.previous}.get(version, version)
        if name is None or name not in (serving.version, serving.previous):
            raise NotFound(f"{task} has no version {name}")
        return name

    async def load(self, task: TaskName, who: str, version: str | None = None) -> None:
        await self.describe(task, version)
        self.calls.append(f"load {version}")

    async def unload(self, task: TaskName, who: str) -> None:
        self._task(task)
        self.calls.append("unload")

    async def export(self, task: TaskName, who: str, version: str | None = None) -> Bundle:
        named = await self.describe(task, version)
        self.calls.append(f"export {named.version} by {who}")
        return Bundle(named.version, iter([self.exported]))

    async def take(self, task: TaskName, who: str, asked: ModelIn) -> Asked:
        self.calls.append(f"take {asked.upload} by {who}")
        return Asked(said=f"import {asked.why}", asks=self._task(task).asks)

    async def check(self, task: TaskName, version: str | None = None) -> None:
        await self.describe(task, version)
        if task in self.asleep:
            self.asleep.remove(task)
            raise Unavailable(f"{task}: v1 is being loaded. Try again in a moment.")

    async def annotators(self, task: TaskName) -> Annotators:
        return self._task(task).annotators

    async def versions(self, task: TaskName) -> Sequence[VersionOut]:
        return self._task(task).versions

    async def rollback(self, task: TaskName, asked: RollbackIn, who: str) -> Serving:
        serving = self._task(task).serving
        if serving is None or serving.previous is None:
            raise NotFound("none came before it")
        if asked.expected_revision not in (None, serving.revision):
            raise Conflict(f"`current` is at revision {serving.revision}, and not at {asked.expected_revision}")
        self.calls.append(f"rollback by {who}")
        self.serve(str(task), serving.previous, serving.revision + 1, serving.version)
        moved = self.held[task].serving
        assert moved is not None
        return moved

    async def promote(self, task: TaskName, who: str, version: str, asked: PromoteIn) -> Asked:
        held = self._task(task)
        served = (held.serving.version, held.serving.previous) if held.serving else ()
        known = {one.version for one in held.versions} | {*served}
        if version not in known:
            raise NotFound(f"{task} has no version {version} that was judged")
        self.calls.append(f"promote {version}{' by force' if asked.force else ''} by {who}: {asked.why}")
        held.asks = AsksStatus(hold=f"{who} promoted {version}")
        return Asked(said=f"{version} serves soon", asks=held.asks)

    async def ask(self, task: TaskName, ask: Ask, who: str, force: bool = False) -> Asked:
        held = self._task(task)
        self.calls.append(f"{ask} by {who}")
        held.asks = AsksStatus(paused=ask is Ask.PAUSE, train_now=ask is Ask.TRAIN_NOW)
        return Asked(said=f"{ask} {task}{' by force' if force else ''}", asks=held.asks)

    async def zero_shot(self, asked: ZeroShotIn) -> ZeroShotOut:
        first = asked.label_specs()[0].name
        one = ZeroShotPrediction(labels=[first], probabilities={first: 1.0}, truncated=False)
        return ZeroShotOut(predictions=[one] * len(asked.texts), agent="teacher:fake")

    async def ready(self) -> Readiness:
        return Readiness(ready=self.is_ready, parts={"object store": "ok" if self.is_ready else "away"})


def app_of(
    backend: FakeBackend,
    keys: str = KEYS,
    insecure: bool = False,
    also: Sequence[WireProtocol] = (),
    sessions: Sessions | None = None,
) -> FastAPI:
    """``also``: protocols beside those of Tornio."""
    ring = KeyRing(FixedKeys(read_keys(keys, "keys")), insecure)
    return create_app(backend, ring, [*PROTOCOLS, *also], sessions=sessions)


class AppTransport(httpx.BaseTransport):
    """Carries requests of a sync client straight into an ASGI app."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()

        async def carry() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            inner = httpx.Request(request.method, request.url, headers=request.headers, content=body)
            response = await transport.handle_async_request(inner)
            content = await response.aread()
            return httpx.Response(response.status_code, headers=response.headers, content=content)

        return asyncio.run(carry())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()
