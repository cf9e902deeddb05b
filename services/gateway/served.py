"""The models behind the API as protocols of other servers see them: described, asked whether they are ready, loaded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from services.gateway.auditing import Auditor
from services.gateway.cluster import Models
from tornio.api import UPLOAD, Asked, ModelIn, PromoteIn, TaskName
from tornio.errors import Conflict
from tornio.exchange.bundle import Bundle, bundle
from tornio.exchange.packing import check_labels
from tornio.registry import Registry
from tornio.schemas.audit import Act
from tornio.schemas.keys import TaskKeys, UploadKeys
from tornio.schemas.loop import Asks, ImportAsk
from tornio.schemas.uploads import Upload
from tornio.status.asks import ask_promotion, asks_status
from tornio.storage import documents
from tornio.storage.port import ObjectStore
from tornio.tasks import Task, named_version
from tornio.uploads import find_upload

MOST_IMPORTS = 10
"""How many models of a task may wait for their turn."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A version of a task. ``versions``: those that can be asked for, the one that serves first."""

    version: str
    versions: tuple[str, ...]
    kind: str
    labels: tuple[str, ...]
    multi_label: bool


class ServedModels(Protocol):
    """Methods raise NotFound for an unknown task or version, NotServable without a version, Unavailable.

    ``version``: a version's name, or ``previous``. None means the one that serves.
    """

    async def describe(self, task: TaskName, version: str | None = None) -> ServedModel:
        """Return what there is to know about a version."""

    async def check(self, task: TaskName, version: str | None = None) -> None:
        """Return if this process can answer at once. Else it loads the model from now on, and this raises."""

    async def load(self, task: TaskName, who: str, version: str | None = None) -> None:
        """Return when this process can answer."""

    async def unload(self, task: TaskName, who: str) -> None:
        """Drop from this process the versions of the task that no alias names."""

    async def export(self, task: TaskName, who: str, version: str | None = None) -> Bundle:
        """Return the documents and files of a version as a tar stream."""

    async def take(self, task: TaskName, who: str, asked: ModelIn) -> Asked:
        """Ask the loop to take in a model that was sent as an upload.

        Raises InvalidInput for one with other labels, NotFound for an upload that is not there, and Conflict where too
        many wait.
        """

    async def promote(self, task: TaskName, who: str, version: str, asked: PromoteIn) -> Asked:
        """Ask the loop to let a version serve. Raises NotFound for an unknown one, Conflict for one that may not."""


@dataclass(frozen=True)
class StoreServed:
    """Implements ``ServedModels``. ``blocking`` calls a function in a thread. ``nudge`` wakes the loop of a task."""

    store: ObjectStore
    models: Models
    blocking: Callable[..., Awaitable[Any]]
    audit: Auditor
    nudge: Callable[[TaskName], None]

    async def describe(self, task: TaskName, version: str | None = None) -> ServedModel:
        described: ServedModel = await self.blocking(self._describe, task, version)
        return described

    async def check(self, task: TaskName, version: str | None = None) -> None:
        await self.models.ask(task, version)

    async def load(self, task: TaskName, who: str, version: str | None = None) -> None:
        async with self.audit.act(Act.LOAD, who, task, version=version):
            await self.models.load(task, version)

    async def unload(self, task: TaskName, who: str) -> None:
        async with self.audit.act(Act.UNLOAD, who, task):
            await self.models.unload(task)

    async def export(self, task: TaskName, who: str, version: str | None = None) -> Bundle:
        async with self.audit.act(Act.EXPORT_MODEL, who, task, version=version) as found:
            made: Bundle = await self.blocking(lambda: bundle(Task(self.store, TaskKeys(*task)), version))
            found["version"] = made.version
        return made

    async def take(self, task: TaskName, who: str, asked: ModelIn) -> Asked:
        async with self.audit.act(Act.IMPORT_MODEL, who, task, upload=asked.upload):
            answer: Asked = await self.blocking(self._take, task, who, asked)
        self.nudge(task)
        return answer

    async def promote(self, task: TaskName, who: str, version: str, asked: PromoteIn) -> Asked:
        def ask() -> Asked:
            return ask_promotion(Task(self.store, TaskKeys(*task)), version, who, asked.why, asked.force)

        async with self.audit.act(Act.PROMOTE, who, task, version=version, force=asked.force):
            answer: Asked = await self.blocking(ask)
        self.nudge(task)
        return answer

    def _take(self, task: TaskName, who: str, asked: ModelIn) -> Asked:
        opened = Task(self.store, TaskKeys(*task))
        document, spec = opened.now
        check_labels(asked.labels, asked.multi_label, spec.label_names, spec.multi_label)
        find_upload(UPLOAD + asked.upload, task.workspace, self.store, datetime.now(UTC))
        upload, _ = documents.load(self.store, UploadKeys(task.workspace, asked.upload).document, Upload)
        ask = ImportAsk(upload=asked.upload, size=upload.size, generation=document.generation, who=who, why=asked.why)

        def added(asks: Asks) -> Asks:
            if any((one.upload, one.generation) == (ask.upload, ask.generation) for one in asks.imports):
                return asks
            if len(asks.imports) >= MOST_IMPORTS:
                raise Conflict(f"{MOST_IMPORTS} models wait to be imported into {task} already. Try again when one is.")
            return asks.evolve(imports=(*asks.imports, ask))

        opened.update_asks(added)
        state = opened.loop_state()
        when = "after `tornio resume`" if state.asks.paused else "as soon as the run that is under way has ended"
        said = (
            f"{task} will import the model {when}, judge it, and serve it if it passes: see `tornio versions {task}`."
        )
        return Asked(said=said, asks=asks_status(state))

    def _describe(self, task: TaskName, version: str | None) -> ServedModel:
        Task(self.store, TaskKeys(*task))  # raises NotFound
        registry = Registry(self.store, TaskKeys(*task))
        name, names = named_version(registry, str(task), version)
        manifest = registry.manifest(name)
        return ServedModel(name, names, manifest.kind, manifest.labels, manifest.multi_label)
