"""The runs of tasks, behind the API: documents in the store, and the controller for what these cannot tell."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.gateway.cluster import Cluster
from tornio.api import RunOut, ScoreIn, TaskName
from tornio.errors import TornioError
from tornio.runs import RunReader, RunRecord, ask_for_run, cancel_run, run_out
from tornio.schemas.runs import RunPlan
from tornio.storage.keys import TaskKeys
from tornio.storage.port import ObjectStore
from tornio.tasks import Task

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoreRuns:
    """Implements ``RunsBackend``. ``blocking`` calls a function in a thread, ``nudge`` wakes the controller."""

    store: ObjectStore
    cluster: Cluster
    clock: Callable[[], datetime]
    blocking: Callable[..., Awaitable[Any]]
    nudge: Callable[[TaskName], None]

    async def start(self, task: TaskName, job: str, asked: ScoreIn, who: str) -> RunOut:
        await self.blocking(self._open, task)
        planned = await self.cluster.plan(job, task, asked.model_dump())
        plan = RunPlan.decode(planned.encode())
        await self.blocking(ask_for_run, self.store, plan, who, self.clock())
        self.nudge(task)
        log.info("%s asked for run %s of %s", who, plan.run, task)
        return await self.get(task, plan.run)

    async def newest(self, task: TaskName, most: int) -> Sequence[RunOut]:
        def read() -> list[RunRecord]:
            self._open(task)
            return RunReader(self.store, *task).runs(most)

        return await self._told(task, await self.blocking(read))

    async def get(self, task: TaskName, run: str) -> RunOut:
        record = await self.blocking(RunReader(self.store, *task).run, run)
        return (await self._told(task, [record]))[0]

    async def cancel(self, task: TaskName, run: str, who: str) -> RunOut:
        await self.blocking(cancel_run, self.store, *task, run, who, self.clock())
        self.nudge(task)
        log.info("%s cancelled run %s of %s", who, run, task)
        return await self.get(task, run)

    def _open(self, task: TaskName) -> None:
        """Raises NotFound for a task that is not there."""
        Task(self.store, TaskKeys(*task))

    async def _told(self, task: TaskName, records: Sequence[RunRecord]) -> list[RunOut]:
        """With what keeps those that are not over from going on; the controller knows, where it answers."""
        troubles: Mapping[str, str] = {}
        if any(not record.state.over for record in records):
            try:
                troubles = (await self.cluster.controller_status(task)).get("runs", {})
            except TornioError as away:
                waiting = f"the controller, which starts runs, does not answer: {away}"
                troubles = {record.plan.run: waiting for record in records}
        return [run_out(record, troubles.get(record.plan.run)) for record in records]
