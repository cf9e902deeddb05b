"""The models behind the API as protocols of other servers see them: described, asked whether they are ready, loaded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from services.gateway.cluster import Models
from tornio.api import TaskName
from tornio.errors import NotServable
from tornio.loop.first import no_version
from tornio.registry import CURRENT, Registry
from tornio.schemas.keys import TaskKeys
from tornio.schemas.registry import Alias
from tornio.storage.port import ObjectStore
from tornio.tasks import Task


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A version of a task. ``versions``: those that can be asked for, the one that serves first."""

    version: str
    versions: tuple[str, ...]
    kind: str
    labels: tuple[str, ...]
    multi_label: bool


class ServedModels(Protocol):
    """Methods raise NotFound for an unknown task, NotServable without a version, Unavailable."""

    async def describe(self, task: TaskName) -> ServedModel:
        """Return what there is to know about the version that serves."""

    async def check(self, task: TaskName) -> None:
        """Return if this process can answer at once. Else it loads the model from now on, and this raises."""


@dataclass(frozen=True)
class StoreServed:
    """Implements ``ServedModels``. ``blocking`` calls a function in a thread."""

    store: ObjectStore
    models: Models
    blocking: Callable[..., Awaitable[Any]]

    async def describe(self, task: TaskName) -> ServedModel:
        described: ServedModel = await self.blocking(self._describe, task)
        return described

    async def check(self, task: TaskName) -> None:
        await self.models.ask(task)

    def _describe(self, task: TaskName) -> ServedModel:
        Task(self.store, TaskKeys(*task))  # raises NotFound
        registry = Registry(self.store, TaskKeys(*task))
        current = registry.alias(CURRENT)
        if current is None:
            raise NotServable(no_version(str(task), f"`tornio status {task}` says what the first one waits for"))
        manifest = registry.manifest(current.version)
        return ServedModel(
            current.version, _first(current, registry.names()), manifest.kind, manifest.labels, manifest.multi_label
        )


def _first(current: Alias, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names, those of the versions first that are loaded already."""
    first = (current.version, *((current.previous,) if current.previous else ()))
    return tuple(dict.fromkeys((*first, *names)))
