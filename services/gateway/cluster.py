"""The other deployments as the gateway sees them, as a port: Serve handles, or a fake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from services.messages import ControllerStatus
from tornio.api import Prediction, Request, TaskName, ZeroShotOut
from tornio.schemas.runs import RunPlan
from tornio.spec import LabelSpec


class Cluster(Protocol):
    """Classifier, teacher and controller.

    Every method raises Unavailable if the other side does not answer, and else its errors of ``tornio.errors``.
    """

    async def predict(self, task: TaskName, texts: Sequence[str]) -> Sequence[Prediction]:
        """Return a prediction for each text. Raises NotFound, NotServable."""

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

    async def serving(self) -> None:
        """Return when a classifier replica has answered. Raises Unavailable if no replica answers in time."""
