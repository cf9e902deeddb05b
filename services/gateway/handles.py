"""Serve handles behind the gateway's port. Errors of Ray become errors of Tornio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle

from services.limits.port import Ask, Grant
from services.messages import AliasUpdate, ControllerStatus, Heartbeat
from tornio.api import Request, TaskName, ZeroShotOut
from tornio.errors import TornioError, Unavailable
from tornio.schemas.runs import RunPlan
from tornio.spec import LabelSpec

Handle = DeploymentHandle[Any]

PATIENCE_S = 2.0
"""Seconds that the controller may take to answer. Then the status reports it as away, so that nobody waits long."""
PLAN_S = 60.0
"""Seconds that planning a run may take. A model that was not used before is fetched meanwhile."""
SCORE_S = 60.0
"""Seconds that the teacher may take, including the time in queues."""

LEND_S = 0.25
"""Seconds that the controller may take to lend texts of a key's limit. Requests of the key wait for it meanwhile."""


class Handles:
    """Implements ``Cluster``, ``Lender``, and the controller as replicas follow it, with the handles of deployments."""

    def __init__(self, controller: Handle, teacher: Handle) -> None:
        self._controller = controller
        self._teacher = teacher

    async def score(
        self, texts: Sequence[str], labels: Sequence[LabelSpec], templates: Sequence[str], multi_label: bool
    ) -> ZeroShotOut:
        arguments = (list(texts), list(labels), list(templates), multi_label)
        try:
            return await self._score(*arguments)
        except _ReplicaDied:  # another replica has the same model
            return await self._score(*arguments)

    async def _score(self, *arguments: object) -> ZeroShotOut:
        async with _own_errors("The teacher", SCORE_S):
            answer: ZeroShotOut = await self._teacher.score.remote(*arguments)
            return answer

    async def controller_status(self, task: TaskName) -> ControllerStatus:
        async with _own_errors("The controller", PATIENCE_S):
            status: ControllerStatus = await self._controller.status.remote(task.workspace, task.task)
            return status

    async def plan(self, job: str, task: TaskName, request: Request) -> RunPlan:
        async with _own_errors("The controller", PLAN_S):
            plan: RunPlan = await self._controller.plan.remote(job, task.workspace, task.task, request)
            return plan

    async def nudge(self, task: TaskName) -> None:
        async with _own_errors("The controller", PATIENCE_S):
            await self._controller.nudge.remote(task.workspace, task.task)

    async def answered(self, workspace: str, dataset: str) -> None:
        """Make the controller look at the tasks that have this data set of the annotation tool."""
        async with _own_errors("The controller", PATIENCE_S):
            await self._controller.answered.remote(workspace, dataset)

    async def lend(self, gateway: str, asks: Sequence[Ask]) -> Sequence[Grant]:
        async with _own_errors("The controller, which counts what keys ask for,", LEND_S):
            grants: Sequence[Grant] = await self._controller.lend.remote(gateway, list(asks))
            return grants

    async def watch(self, token: str | None, timeout_s: float) -> AliasUpdate:
        update: AliasUpdate = await self._controller.watch.remote(token, timeout_s)
        return update

    async def report(self, replica_id: str, heartbeat: Heartbeat) -> None:
        await self._controller.report.remote(replica_id, heartbeat)


class _ReplicaDied(Unavailable):
    """The replica ended in the middle of a request."""


@asynccontextmanager
async def _own_errors(part: str, seconds: float) -> AsyncIterator[None]:
    """Raise errors of Tornio, and Unavailable for every error of Ray about a part that is away or busy."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise Unavailable(f"{part} did not answer within {seconds:g} s. Try again.") from error
    except RayTaskError as error:
        if isinstance(error.cause, TornioError):
            raise error.cause from None
        raise
    except BackPressureError as error:
        raise Unavailable(f"{part} is busy: its queue is full. Try again in a moment.") from error
    except RayActorError as error:
        raise _ReplicaDied(f"A replica of {part.lower()} ended in mid-request. Try again.") from error
    except (RayServeException, RayError) as error:
        raise Unavailable(f"{part} is away ({type(error).__name__}). Try again.") from error
