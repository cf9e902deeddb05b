"""The audit log of a workspace in the bucket. It is only ever appended to."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from uuid import uuid4

from tornio.schemas import keys
from tornio.schemas.audit import Act, AuditEvent, Outcome
from tornio.storage import documents
from tornio.storage.port import ObjectStore

MAX_KEYS = 20_000
"""Keys that one look goes through at most: 20 requests to the store, and some seconds."""
_READERS = 8
"""Events that are fetched at a time."""

Detail = dict[str, int | str | bool | None]


@dataclass(frozen=True, slots=True)
class Page:
    """Events, newest first. ``next``: what to pass as ``after`` to look further back; None at the log's beginning."""

    events: tuple[AuditEvent, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class AuditLog:
    """Every method raises Unavailable while the store is away."""

    store: ObjectStore
    workspace: str

    def begin(self, act: Act, who: str, task: str, detail: Detail, at: datetime) -> AuditEvent:
        """Write that somebody is about to act. ``detail``: no texts. Return the event, for ``end``."""
        name = keys.audit_id(at, uuid4().hex[:12], task)
        event = AuditEvent(
            id=name, at=at, who=who, act=act, workspace=self.workspace, task=task, detail=detail, outcome=Outcome.BEGUN
        )
        return documents.create(self.store, keys.audit_begun(self.workspace, name), event)

    def end(
        self, begun: AuditEvent, outcome: Outcome, detail: Detail, at: datetime, error: str | None = None
    ) -> AuditEvent:
        """Write what came of an act. ``detail`` is added to what was known before. ``error``: class of the error."""
        event = begun.evolve(outcome=outcome, detail=begun.detail | detail, ended_at=at, error=error)
        return documents.create(self.store, keys.audit_ended(self.workspace, begun.id), event)

    def newest(self, most: int, task: str | None = None, after: str | None = None) -> Page:
        """Return at most ``most`` events, of one task or of all, newest first.

        ``after``: the id of an event; older ones follow. Of a task with few events among very many of others, a page
        may have none although there are more.
        """
        found: list[str] = []
        last: str | None = None
        looked = 0
        for name, count in self._ids(after):
            if len(found) == most or looked >= MAX_KEYS:
                break
            looked, last = looked + count, name
            if task is None or keys.audit_task(name) == task:
                found.append(name)
        else:
            last = None
        with ThreadPoolExecutor(_READERS, "audit") as threads:
            return Page(tuple(threads.map(self._event, found)), last)

    def _ids(self, after: str | None) -> Iterator[tuple[str, int]]:
        """Yield the id of each act, newest first, and the number of its objects."""
        folder = keys.audit(self.workspace)
        listed = self.store.list(folder, None if after is None else keys.audit_ended(self.workspace, after))
        names = (info.key.removeprefix(folder).split(".", 1)[0] for info in listed)
        for name, objects in groupby(names):
            yield name, len(list(objects))

    def _event(self, name: str) -> AuditEvent:
        ended = documents.find(self.store, keys.audit_ended(self.workspace, name), AuditEvent)
        return ended[0] if ended else documents.load(self.store, keys.audit_begun(self.workspace, name), AuditEvent)[0]
