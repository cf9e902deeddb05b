"""What the page of a task shows, asked of the backend: all parts at once, and each may fail without the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar, cast

from services.gateway.callers import Caller, Role
from services.gateway.port import Backend
from tornio.api import MAX_TOP, Annotators, RunOut, RunRows, TaskName, TaskStatus, VersionOut
from tornio.errors import NotFound, TornioError

log = logging.getLogger(__name__)

T = TypeVar("T")

RUNS = 20
"""Most runs that are listed."""


class PartUnread(Exception):
    """A part of the page could not be read. It says why."""


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """An answer of the backend, or why there is none. ``hidden``: the caller may not see it."""

    value: T | None = None
    trouble: str | None = None
    hidden: bool = False

    def get(self) -> T:
        """Return the answer. Raises PartUnread."""
        if self.trouble is not None:
            raise PartUnread(self.trouble)
        return cast(T, self.value)


@dataclass(frozen=True, slots=True)
class Suspicious:
    """The first rows of the newest score run that is done."""

    run: RunOut
    rows: RunRows


@dataclass(frozen=True, slots=True)
class Choice:
    """What the reader has chosen in the forms of the page: two versions to compare."""

    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class TaskPage:
    """All that the page of a task shows. ``stands``: how it stands. ``simulation``: the newest that is done."""

    task: TaskName
    now: datetime
    stands: Part[TaskStatus]
    runs: Part[Sequence[RunOut]]
    simulation: Part[RunOut | None]
    annotators: Part[Annotators]
    versions: Part[Sequence[VersionOut]]
    suspicious: Part[Suspicious | None]
    choice: Choice = Choice()

    @property
    def status(self) -> TaskStatus | None:
        """How the task stands, None if that could not be read."""
        return self.stands.value


async def gather(
    backend: Backend, caller: Caller, task: TaskName, choice: Choice | None = None, now: datetime | None = None
) -> TaskPage:
    """Ask the backend for all parts of a task's page that the caller may see. Raises NotFound for an unknown task."""

    async def part(asked: Awaitable[T]) -> Part[T]:
        try:
            return Part(await asked)
        except NotFound:
            raise
        except (TornioError, ValueError) as error:  # ValueError: damaged numbers in a document
            log.warning("A part of the page of %s cannot be read: %s", task, error)
            return Part(trouble=str(error) or type(error).__name__)

    async def hidden() -> Part[T]:
        return Part(hidden=True)

    annotates, operates = caller.role.includes(Role.ANNOTATE), caller.role.includes(Role.OPERATE)
    status, runs, simulation, annotators, versions, suspicious = await asyncio.gather(
        part(backend.status(task)),
        part(backend.runs.newest(task, RUNS)),
        part(_newest_done(backend, task, "simulate")),
        part(backend.annotators(task)) if annotates else hidden(),
        part(backend.versions(task)) if operates else hidden(),
        part(_suspicious(backend, task)) if operates else hidden(),
    )
    moment = now or datetime.now(UTC)
    return TaskPage(task, moment, status, runs, simulation, annotators, versions, suspicious, choice or Choice())


async def _newest_done(backend: Backend, task: TaskName, job: str) -> RunOut | None:
    return next((run for run in await backend.runs.newest(task, RUNS, job) if run.state == "done"), None)


async def _suspicious(backend: Backend, task: TaskName) -> Suspicious | None:
    run = await _newest_done(backend, task, "score")
    return None if run is None else Suspicious(run, await backend.runs.rows(task, run.run, MAX_TOP))
