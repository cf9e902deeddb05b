"""The real backend: documents in the object store, and the other deployments of the application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from services.gateway.cluster import Cluster
from services.gateway.port import Ask, LabelsExport
from services.gateway.run_records import StoreRuns
from tornio.api import (
    Applied,
    Asked,
    AsksStatus,
    LabelIn,
    LabelledRecord,
    LabelsImported,
    LabelsIn,
    PredictionOut,
    Readiness,
    RecordIn,
    RecordsAdded,
    RollbackIn,
    Serving,
    TaskName,
    TaskStatus,
    TaskSummary,
    VersionOut,
    ZeroShotIn,
    ZeroShotOut,
    ZeroShotPrediction,
)
from tornio.errors import Conflict, NotFound, NotServable, TornioError, Unavailable
from tornio.labels.resolve import Resolved, resolve
from tornio.pool import PoolView
from tornio.records import Record, default_record_id, text_digest
from tornio.registry import CURRENT, Registry
from tornio.spec import TaskSpec, TeacherSpec
from tornio.status.snapshot import Reader, Snapshot
from tornio.status.task_status import asks_status, serving, task_status
from tornio.status.versions import changed_records, version_list
from tornio.storage.keys import TaskKeys
from tornio.storage.port import ObjectStore
from tornio.tasks import Task, Tasks

log = logging.getLogger(__name__)

T = TypeVar("T")

THREADS = 16
"""Calls to the store under way at once: they wait far more than they work."""
READY_S = 2.0
"""Seconds that the store may take to answer a readiness probe."""


@dataclass
class StoreBackend:
    """Implements ``Backend``. ``annotate_url``: where people annotate, for the status."""

    store: ObjectStore
    cluster: Cluster
    annotate_url: str | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "store"))
    _readers: dict[TaskName, tuple[Task, Reader]] = field(default_factory=dict)
    _background: set[asyncio.Task[None]] = field(default_factory=set)
    _probe: asyncio.Future[None] | None = None

    def __post_init__(self) -> None:
        self._tasks = Tasks(self.store)
        self.runs = StoreRuns(self.store, self.cluster, self.clock, self._blocking, self._nudge)

    # What goes in

    async def apply(self, spec: TaskSpec, who: str) -> Applied:
        applied = await self._blocking(self._tasks.apply, spec, who)
        self._nudge(TaskName(spec.workspace, spec.name))
        log.info("%s applied %s: spec %d", who, spec.full_name, applied.spec_rev)
        return Applied(
            workspace=spec.workspace,
            task=spec.name,
            created=applied.created,
            spec_rev=applied.spec_rev,
            changes=[f"{one.path}: {_short(one.old)} -> {_short(one.new)} ({one.change})" for one in applied.changes],
        )

    async def add_records(self, task: TaskName, records: Sequence[RecordIn]) -> RecordsAdded:
        def add() -> RecordsAdded:
            added = self._open(task).add_records([_record(one) for one in records])
            return RecordsAdded(added=added.added, known=added.known, same_text=added.same_text)

        added = await self._blocking(add)
        self._nudge(task)
        return added

    async def import_labels(self, task: TaskName, labels: LabelsIn, who: str) -> LabelsImported:
        source = f"import:{labels.source}" if labels.source else f"api:{who}"

        def bring_in() -> LabelsImported:
            opened = self._open(task)
            items = _items(opened.pool.read(), labels.labels)
            done = opened.import_labels(items, labels.purpose, source, labels.request)
            return LabelsImported(imported=done.imported, unchanged=done.unchanged, records_added=done.records_added)

        imported = await self._blocking(bring_in)
        self._nudge(task)
        log.info("%s imported %d labels to %s into %s", who, imported.imported, labels.purpose, task)
        return imported

    # What comes out

    async def predict(self, task: TaskName, texts: Sequence[str]) -> Sequence[PredictionOut]:
        return [PredictionOut.model_validate(said) for said in await self.cluster.predict(task, texts)]

    async def zero_shot(self, asked: ZeroShotIn) -> ZeroShotOut:
        templates = asked.templates if asked.templates is not None else TeacherSpec().templates
        said = await self.cluster.score(asked.texts, asked.label_specs(), templates, asked.multi_label)
        rows = zip(said["labels"], said["probabilities"], said["truncated"], strict=True)
        return ZeroShotOut(
            predictions=[
                ZeroShotPrediction(labels=list(labels), probabilities=dict(shares), truncated=truncated)
                for labels, shares, truncated in rows
            ],
            agent=said["agent"],
        )

    async def labels(self, task: TaskName) -> LabelsExport:
        return await self._blocking(lambda: _export(self._open(task)))

    # How it stands

    async def tasks(self, sees: Callable[[str], bool]) -> Sequence[TaskSummary]:
        names = await self._blocking(lambda: [TaskName(*name) for name in self._tasks.names()])
        return await asyncio.gather(*(self._summary(name) for name in names if sees(name.workspace)))

    async def _summary(self, task: TaskName) -> TaskSummary:
        """One task that is broken must not hide the others: it says what is wrong with it."""
        registry = Registry(self.store, TaskKeys(task.workspace, task.task))
        try:
            told, current = await asyncio.gather(
                self._controller(task), self._blocking(lambda: registry.alias(CURRENT))
            )
        except TornioError as error:
            log.warning("%s cannot be read: %s", task, error)
            told, current = str(error), None
        return TaskSummary(
            workspace=task.workspace,
            task=task.task,
            phase="unknown" if isinstance(told, str) else told["phase"],
            why=told if isinstance(told, str) else told["why"],
            version=current.version if current else None,
            revision=current.revision if current else None,
        )

    async def status(self, task: TaskName) -> TaskStatus:
        seen, told = await asyncio.gather(self._blocking(self._snapshot, task), self._controller(task))
        return task_status(seen, told, self.clock(), self.annotate_url)

    async def versions(self, task: TaskName) -> Sequence[VersionOut]:
        def read() -> list[VersionOut]:
            opened, reader = self._reader(task)
            seen = reader.snapshot()
            trained = reader.trained(seen.iterations)
            return version_list(seen, trained, _texts(opened.pool.read(), changed_records(trained.judgements)))

        return await self._blocking(read)

    async def ready(self) -> Readiness:
        store, classifier = await asyncio.gather(self._store_answers(), self._classifier_answers())
        parts = {"object store": store, "classifier": classifier}
        return Readiness(ready=all(said == "ok" for said in parts.values()), parts=parts)

    # What is asked of it

    async def rollback(self, task: TaskName, asked: RollbackIn, who: str) -> Serving:
        moved = await self._blocking(self._roll_back, task, asked, who)
        self._nudge(task)
        log.info("%s rolled %s back to %s", who, task, moved.version)
        return moved

    def _roll_back(self, task: TaskName, asked: RollbackIn, who: str) -> Serving:
        """The hold comes first: nothing may be promoted over the rollback."""
        opened = self._open(task)
        registry = Registry(self.store, opened.keys)
        present = registry.alias(CURRENT)
        if present is None:
            raise NotServable(f"{task} has no current version yet: there is nothing to roll back")
        if present.previous is None:
            raise NotFound(f"{present.version} is the first version that {task} serves: none came before it")
        why = f"{who} rolled back from {present.version}" + (f": {asked.why}" if asked.why else "")
        before = opened.loop_state().asks.hold
        opened.hold(why)
        try:
            expected = present.revision if asked.expected_revision is None else asked.expected_revision
            return serving(registry.rollback(who, why, expected))
        except Conflict:
            _release(opened, why, before)
            raise
        except TornioError as error:
            return self._after_fault(opened, registry, why, before, error)

    def _after_fault(
        self, opened: Task, registry: Registry, why: str, before: str | None, error: TornioError
    ) -> Serving:
        """The move failed, or its answer was lost: told by what `current` is now. Raises ``error`` where it did not
        move, the hold taken back; where that cannot be said, the hold stays and the error says so."""
        try:
            now = registry.alias(CURRENT)
            if now is not None and now.why == why:
                return serving(now)
            _release(opened, why, before)
        except TornioError as again:
            raise type(error)(
                f"{error}; look with `tornio status {opened.full_name}` whether it was rolled back: "
                f"nothing is promoted until `tornio resume {opened.full_name}`"
            ) from again
        raise error

    async def ask(self, task: TaskName, ask: Ask, who: str) -> Asked:
        def write() -> AsksStatus:
            opened = self._open(task)
            {Ask.PAUSE: opened.pause, Ask.RESUME: opened.resume, Ask.TRAIN_NOW: opened.train_now}[ask]()
            return asks_status(opened.loop_state())

        asks = await self._blocking(write)
        self._nudge(task)
        log.info("%s asked %s of %s", who, ask, task)
        said = _WAITS if ask is Ask.TRAIN_NOW and asks.paused else _SAID[ask]
        return Asked(said=said.format(task=task), asks=asks)

    # How the parts are reached

    async def _blocking(self, call: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *args)

    def _open(self, task: TaskName) -> Task:
        return self._tasks.open(task.workspace, task.task)

    def _reader(self, task: TaskName) -> tuple[Task, Reader]:
        opened = self._open(task)
        kept = self._readers.get(task)
        if kept is None or kept[0] is not opened:
            kept = self._readers[task] = (opened, Reader(self.store, opened))
        return kept

    def _snapshot(self, task: TaskName) -> Snapshot:
        return self._reader(task)[1].snapshot()

    async def _controller(self, task: TaskName) -> Mapping[str, Any] | str:
        """What the controller says of the task, or why it says nothing."""
        try:
            return await self.cluster.controller_status(task)
        except TornioError as error:
            return str(error)

    def _nudge(self, task: TaskName) -> None:
        """Not waited for: the controller looks by itself as well, only later."""

        async def nudge() -> None:
            try:
                await self.cluster.nudge(task)
            except TornioError as error:
                log.warning("%s: the controller was not told, it will see for itself: %s", task, error)

        self._in_background(nudge())

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        running = asyncio.get_running_loop().create_task(work)
        self._background.add(running)  # the loop keeps weak references only
        running.add_done_callback(self._background.discard)

    async def _classifier_answers(self) -> str:
        try:
            await self.cluster.serving()
        except Unavailable as error:
            return f"no replica is ready: {error}"
        return "ok"

    async def _store_answers(self) -> str:
        """'ok', or what is wrong. One probe at a time: an away store would hold a thread for each."""
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


_SAID = {
    Ask.PAUSE: "{task} is paused: no batch and no training starts until `tornio resume {task}`; predictions go on",
    Ask.RESUME: "{task} goes on",
    Ask.TRAIN_NOW: "{task} trains with the labels there are as soon as what runs now has ended",
}

_WAITS = "{task} is paused: it trains with the labels there are after `tornio resume {task}`"


def _release(task: Task, why: str, before: str | None) -> None:
    """Take back the hold that a rollback set, unless somebody has set another since."""
    task.update_asks(lambda asks: asks.evolve(hold=before) if asks.hold == why else asks)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _record(said: RecordIn) -> Record:
    return Record(said.record_id or default_record_id(said.text), said.text, said.metadata)


def _items(pool: PoolView, labels: Sequence[LabelIn]) -> list[tuple[Record, list[str]]]:
    """A label without an id is one of the record that has this text already, if there is one."""
    known: dict[str, int] = {}
    if any(label.record_id is None for label in labels):
        known = {digest: row for row, digest in reversed(list(enumerate(pool.text_digests)))}
    items = []
    for label in labels:
        row = None if label.record_id else known.get(text_digest(label.text))
        if row is None:
            record = Record(label.record_id or default_record_id(label.text), label.text, label.metadata)
        else:
            record = Record(pool.record_ids[row], pool.texts[row], label.metadata)
        items.append((record, label.labels))
    return items


def _export(task: Task) -> LabelsExport:
    """What is true of each record, in the order of the pool."""
    spec, pool = task.spec, task.pool.read()
    said = resolve(task.labels.read().events, spec.label_names, spec.multi_label, spec.annotation.min_submitted)
    labelled = {name: one for name, one in said.items() if one.labels is not None and name in pool}

    def records() -> Iterator[LabelledRecord]:
        for record_id, text in zip(pool.record_ids, pool.texts, strict=True):
            if record_id in labelled:
                yield _labelled(record_id, text, labelled[record_id])

    return LabelsExport(len(labelled), records())


def _labelled(record_id: str, text: str, said: Resolved) -> LabelledRecord:
    return LabelledRecord(
        record_id=record_id,
        text=text,
        labels=list(said.labels or ()),
        purpose=said.purpose,
        source=str(said.kind),
        annotators=said.annotators,
    )


def _texts(pool: PoolView, record_ids: set[str]) -> dict[str, str]:
    return {name: pool.texts[row] for name in record_ids if (row := pool.row(name)) is not None}
