"""The runs of tasks, behind the API: documents in the store, and the controller for what these do not hold."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.table import JOBS
from services.gateway.auditing import Auditor
from services.gateway.cluster import Cluster
from tornio.api import RunFiles, RunOut, RunRequest, RunRows, TaskName
from tornio.errors import TornioError
from tornio.runs import (
    RunReader,
    RunRecord,
    ask_for_run,
    cancel_run,
    files_of,
    first_rows,
    is_asked_for,
    read_file,
    run_out,
)
from tornio.schemas.audit import Act
from tornio.schemas.keys import TaskKeys
from tornio.storage.port import ObjectStore
from tornio.tasks import Task


@dataclass(frozen=True)
class StoreRuns:
    """Implements ``RunsBackend``. ``blocking`` calls a function in a thread, ``nudge`` wakes the controller."""

    store: ObjectStore
    cluster: Cluster
    clock: Callable[[], datetime]
    blocking: Callable[..., Awaitable[Any]]
    nudge: Callable[[TaskName], None]
    audit: Auditor

    async def start(self, task: TaskName, request: RunRequest, who: str) -> RunOut:
        try:
            await self.blocking(self._open, task)
            plan = await self.cluster.plan(request.job, task, request)
            known = await self.blocking(is_asked_for, self.store, plan)
        except Exception:
            async with self.audit.act(Act.START_RUN, who, task, job=request.job):
                raise
        if not known:  # else the request changes nothing, and is no act
            async with self.audit.act(Act.START_RUN, who, task, job=request.job, run=plan.run):
                await self.blocking(ask_for_run, self.store, plan, who, self.clock())
        self.nudge(task)
        return await self.get(task, plan.run)

    async def newest(self, task: TaskName, most: int, job: str | None = None) -> Sequence[RunOut]:
        def read() -> list[RunRecord]:
            self._open(task)
            return RunReader(self.store, *task).runs(most, job)

        return await self._shown(task, await self.blocking(read))

    async def get(self, task: TaskName, run: str) -> RunOut:
        record = await self.blocking(RunReader(self.store, *task).run, run)
        return (await self._shown(task, [record]))[0]

    async def rows(self, task: TaskName, run: str, most: int) -> RunRows:
        def read() -> RunRows:
            return first_rows(self.store, RunReader(self.store, *task).run(run), most)

        rows: RunRows = await self.blocking(read)
        return rows

    async def files(self, task: TaskName, run: str, who: str) -> RunFiles:
        def read() -> RunFiles:
            record = RunReader(self.store, *task).run(run)
            return files_of(self.store, record, _offered(record))

        async with self.audit.act(Act.EXPORT_RUN, who, task, run=run) as found:
            files: RunFiles = await self.blocking(read)
            found["files"] = len(files.files)
        return files

    async def file(self, task: TaskName, run: str, name: str, etag: str, start: int) -> bytes:
        def read() -> bytes:
            record = RunReader(self.store, *task).run(run)
            return read_file(self.store, record, _offered(record), name, etag, start)

        body: bytes = await self.blocking(read)
        return body

    async def cancel(self, task: TaskName, run: str, who: str) -> RunOut:
        async with self.audit.act(Act.CANCEL_RUN, who, task, run=run):
            await self.blocking(cancel_run, self.store, *task, run, who, self.clock())
        self.nudge(task)
        return await self.get(task, run)

    def _open(self, task: TaskName) -> None:
        """Raises NotFound for a task that does not exist."""
        Task(self.store, TaskKeys(*task))

    async def _shown(self, task: TaskName, records: Sequence[RunRecord]) -> list[RunOut]:
        """Return the runs. The controller, if it answers, adds why an unfinished run cannot go on."""
        troubles: Mapping[str, str] = {}
        if any(not record.state.over for record in records):
            try:
                troubles = (await self.cluster.controller_status(task)).runs
            except TornioError as error:
                waiting = f"The controller, which starts runs, does not answer: {error}"
                troubles = {record.plan.run: waiting for record in records}
        return [run_out(record, troubles.get(record.plan.run)) for record in records]


def _offered(record: RunRecord) -> tuple[str, ...]:
    """What users may fetch of a run. Nothing of a job that this release does not know."""
    job = JOBS.get(record.plan.job)
    return () if job is None else job.files
