"""Serve handles behind the gateway's port; Ray's errors become ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle

from tornio.api import TaskName
from tornio.errors import TornioError, Unavailable
from tornio.spec import LabelSpec

Handle = DeploymentHandle[Any]

PATIENCE_S = 2.0
"""Seconds that the controller may take to answer: the status says that it is away rather than making people wait."""
PLAN_S = 60.0
"""Seconds that planning a run may take: a model that nobody used before is fetched on the way."""
PREDICT_S = 60.0
"""Seconds that a prediction may take, queueing included."""


class Handles:
    """The real cluster."""

    def __init__(self, controller: Handle, classifier: Handle, teacher: Handle) -> None:
        self._controller = controller
        self._classifier = classifier
        self._teacher = teacher

    async def predict(self, task: TaskName, texts: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        try:
            return await self._predict(task, texts)
        except _ReplicaDied:  # its neighbour has the same models
            return await self._predict(task, texts)

    async def _predict(self, task: TaskName, texts: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        async with _told("the classifier", PREDICT_S):
            answer: list[dict[str, Any]] = await self._classifier.predict.remote(str(task), list(texts))
            return answer

    async def score(
        self, texts: Sequence[str], labels: Sequence[LabelSpec], templates: Sequence[str], multi_label: bool
    ) -> Mapping[str, Any]:
        async with _told("the teacher", PREDICT_S):
            asked = (list(texts), [label.model_dump() for label in labels], list(templates), multi_label)
            answer: dict[str, Any] = await self._teacher.score.remote(*asked)
            return answer

    async def controller_status(self, task: TaskName) -> Mapping[str, Any]:
        async with _told("the controller", PATIENCE_S):
            answer: dict[str, Any] = await self._controller.status.remote(task.workspace, task.task)
            return answer

    async def plan(self, job: str, task: TaskName, asked: Mapping[str, Any]) -> str:
        async with _told("the controller", PLAN_S):
            answer: str = await self._controller.plan.remote(job, task.workspace, task.task, dict(asked))
            return answer

    async def nudge(self, task: TaskName) -> None:
        async with _told("the controller", PATIENCE_S):
            await self._controller.nudge.remote(task.workspace, task.task)

    async def serving(self) -> None:
        if self._classifier.running_replicas_populated():  # a busy classifier is not one that is away
            return
        async with _told("the classifier", PATIENCE_S):  # the first call makes the handle's router, which then knows
            await self._classifier.report.remote()


class _ReplicaDied(Unavailable):
    """The replica ended in the middle of a request."""


@asynccontextmanager
async def _told(who: str, seconds: float) -> AsyncIterator[None]:
    """Raises our own errors, and Unavailable for everything that Ray may say of a part that is away or busy."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise Unavailable(f"{who} did not answer within {seconds:g} s: try again") from error
    except RayTaskError as error:
        if isinstance(error.cause, TornioError):
            raise error.cause from None
        raise
    except BackPressureError as error:
        raise Unavailable(f"{who} is busy, its queue is full: try again in a moment") from error
    except RayActorError as error:
        raise _ReplicaDied(f"a replica of {who} ended in mid-request: try again") from error
    except (RayServeException, RayError) as error:
        raise Unavailable(f"{who} is away ({type(error).__name__}): try again") from error
