"""What the gateway asks of others, as ports: of the models in its process, and of the other deployments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from services.messages import ControllerStatus
from tornio.api import Prediction, Request, TaskName, ZeroShotOut
from tornio.schemas.runs import RunPlan
from tornio.spec import LabelSpec


class Models(Protocol):
    """The models of this process."""

    async def predict(self, task: TaskName, texts: Sequence[str], version: str | None = None) -> Sequence[Prediction]:
        """Return a prediction for each text. Raises NotFound, NotServable, Unavailable.

        ``version``: a version's name, or ``previous``. None means the one that serves.
        """

    async def ask(self, task: TaskName, version: str | None = None) -> None:
        """Return if it can answer at once. Else the model is loaded from now on. Raises as ``predict``."""

    async def load(self, task: TaskName, version: str | None = None) -> None:
        """Return when predictions can be answered. Raises as ``predict``."""

    async def unload(self, task: TaskName) -> None:
        """Drop the versions of the task that no alias names. Raises NotFound."""

    def check(self) -> None:
        """Raises RuntimeError when this process must be replaced."""


class Cluster(Protocol):
    """Teacher and controller.

    Every method raises Unavailable if the other side does not answer, and else its errors of ``tornio.errors``.
    """

    async def score(
        self, texts: Sequence[str], labels: Sequence[LabelSpec], templates: Sequence[str], multi_label: bool
    ) -> ZeroShotOut:
        """Return the teacher's answers, in the order of the texts."""

    async def controller_status(self, task: TaskName) -> ControllerStatus:
        """Return what the controller knows about the task."""

    async def plan(self, job: str, task: TaskName, request: Request) -> RunPlan:
        """Return the plan of a run that a user asks for. Raises the errors of the request: InvalidFile, ..."""

    async def nudge(self, task: TaskName) -> None:
        """Make the controller look at the task at once, because something was written."""
