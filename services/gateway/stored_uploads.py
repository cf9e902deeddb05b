"""The uploads of workspaces, behind the API: objects in the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.gateway.auditing import Auditor
from tornio.api import TaskName, UploadIn, UploadOut, UploadPartOut, Uploads
from tornio.errors import NotFound, TornioError
from tornio.schemas.audit import Act
from tornio.settings import UploadSettings
from tornio.storage.port import ObjectStore
from tornio.tasks import Tasks
from tornio.uploads import UploadRoom, expire

log = logging.getLogger(__name__)

JOINING_S = 20.0
"""Seconds after which ``complete`` answers although the parts are still being put together. Proxies wait for longer."""
JOINING = 2
"""Files that a replica puts together at the same time. Each takes some MiB of memory, and a thread of the store's."""


@dataclass
class StoreUploads:
    """Implements ``UploadsBackend``. ``blocking`` calls a function in a thread."""

    store: ObjectStore
    clock: Callable[[], datetime]
    blocking: Callable[..., Awaitable[Any]]
    audit: Auditor
    settings: UploadSettings = field(default_factory=UploadSettings)
    joining_s: float = JOINING_S
    _joining: dict[tuple[str, str], asyncio.Task[UploadOut]] = field(default_factory=dict)
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(JOINING))

    async def begin(self, workspace: str, name: str, wanted: UploadIn, who: str) -> UploadOut:
        def begin() -> UploadOut:
            self._check_task(workspace)
            try:
                expire(self.store, workspace, self.settings, self.clock())
            except TornioError as error:  # it is not about this upload
                log.warning("The uploads of %s that are out of date were not deleted: %s", workspace, error)
            return self._room(workspace).begin(name, wanted.size, wanted.file, who)

        async with self.audit.act(Act.UPLOAD, who, TaskName(workspace, ""), upload=name, bytes=wanted.size):
            upload: UploadOut = await self.blocking(begin)
        return upload

    async def put_part(self, workspace: str, name: str, number: int, body: bytes) -> UploadPartOut:
        part: UploadPartOut = await self.blocking(self._room(workspace).put_part, name, number, body)
        return part

    async def complete(self, workspace: str, name: str, who: str) -> UploadOut:
        """The work goes on when its request has ended, and the next request waits for the same work."""
        key = workspace, name
        task = self._joining.get(key)
        if task is None:
            task = self._joining[key] = asyncio.create_task(self._join(workspace, name, who))
            task.add_done_callback(lambda done: self._forget(key, done))
        done, _ = await asyncio.wait([task], timeout=self.joining_s)
        return task.result() if done else await self.get(workspace, name)

    async def delete(self, workspace: str, name: str, who: str) -> UploadOut:
        async with self.audit.act(Act.DELETE_UPLOAD, who, TaskName(workspace, ""), upload=name):
            upload: UploadOut = await self.blocking(self._room(workspace).delete, name)
        return upload

    async def get(self, workspace: str, name: str) -> UploadOut:
        upload: UploadOut = await self.blocking(self._room(workspace).get, name)
        return upload

    async def all(self, workspace: str) -> Uploads:
        uploads: Uploads = await self.blocking(self._room(workspace).all)
        return uploads

    async def _join(self, workspace: str, name: str, who: str) -> UploadOut:
        async with self._places:
            upload: UploadOut = await self.blocking(self._room(workspace).complete, name)
        log.info("%s completed %s of %s", who, name, workspace)
        return upload

    def _forget(self, key: tuple[str, str], done: asyncio.Task[UploadOut]) -> None:
        del self._joining[key]
        if not done.cancelled() and (error := done.exception()) is not None:
            log.info("%s of %s is not complete: %s", *reversed(key), error)

    def _check_task(self, workspace: str) -> None:
        """Raises NotFound for a workspace without a task."""
        if not any(True for _ in Tasks(self.store).within(workspace)):
            raise NotFound(
                f"Workspace {workspace!r} has no task, so nothing could read an upload. Create a task in it first, "
                "with `tornio apply`, or check the name."
            )

    def _room(self, workspace: str) -> UploadRoom:
        return UploadRoom(self.store, workspace, self.settings, self.clock)
