"""The audit log behind the API: that somebody is about to act is written before the act, what came of it afterwards."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from services.gateway.problems import status_of
from tornio.api import AuditEventOut, AuditPage, TaskName
from tornio.audit import AuditLog, Detail, Page
from tornio.errors import TornioError
from tornio.schemas.audit import Act, AuditEvent, Outcome
from tornio.storage.port import ObjectStore

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Auditor:
    """Implements ``AuditBackend``. ``blocking`` calls a function in a thread."""

    store: ObjectStore
    clock: Callable[[], datetime]
    blocking: Callable[..., Awaitable[Any]]

    @asynccontextmanager
    async def act(self, act: Act, who: str, task: TaskName, **detail: int | str | bool | None) -> AsyncIterator[Detail]:
        """Run the body as an act of ``who``. The body puts counts, versions and ids into the yielded details, no texts.

        Raises Unavailable if the act cannot be written down; then the body does not run. If only its outcome cannot
        be written, the log says for ever that the act was begun.
        """
        book = AuditLog(self.store, task.workspace)
        begun: AuditEvent = await self.blocking(book.begin, act, who, task.task, detail, self.clock())
        found: Detail = {}
        try:
            yield found
        except Exception as failure:  # not if the caller hung up: the threads that act go on
            refused = isinstance(failure, TornioError) and status_of(failure) < HTTPStatus.INTERNAL_SERVER_ERROR
            outcome = Outcome.REFUSED if refused else Outcome.FAILED
            await self._end(book, begun, outcome, found, type(failure).__name__)
            raise
        await self._end(book, begun, Outcome.DONE, found)

    async def newest(self, workspace: str, most: int, task: str | None = None, after: str | None = None) -> AuditPage:
        found: Page = await self.blocking(AuditLog(self.store, workspace).newest, most, task, after)
        events = [AuditEventOut.model_validate(event, from_attributes=True) for event in found.events]
        return AuditPage(events=events, next=found.next)

    async def _end(
        self, book: AuditLog, begun: AuditEvent, outcome: Outcome, found: Detail, error: str | None = None
    ) -> None:
        log.info("%s of %s/%s by %s: %s %s", begun.act, begun.workspace, begun.task, begun.who, outcome, found)
        try:
            await self.blocking(book.end, begun, outcome, found, self.clock(), error)
        except TornioError as trouble:
            log.warning("The audit log does not say what came of %s: %s", begun.id, trouble)
