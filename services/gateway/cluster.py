"""The other deployments as the gateway sees them, as a port: Serve handles, or a fake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tornio.api import TaskName
from tornio.spec import LabelSpec


class Cluster(Protocol):
    """Classifier, teacher and controller.

    Every method raises Unavailable where nobody answers, and what the other side raises of ``tornio.errors``.
    """

    async def predict(self, task: TaskName, texts: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        """A ``records.Prediction`` as a mapping for each text. Raises NotFound, NotServable."""

    async def score(
        self, texts: Sequence[str], labels: Sequence[LabelSpec], templates: Sequence[str], multi_label: bool
    ) -> Mapping[str, Any]:
        """``{"labels": [[name]], "probabilities": [{name: p}], "truncated": [bool], "agent": str}``."""

    async def controller_status(self, task: TaskName) -> Mapping[str, Any]:
        """``{"phase", "why", "batches": [{batch, total, answered, closed}], "replicas": [{replica, age_s, serving,
        ready, failed}], "runs": {run: what keeps it from going on}}``."""

    async def plan(self, job: str, task: TaskName, asked: Mapping[str, Any]) -> str:
        """The plan, as JSON, of a run that a user asks for. Raises what the request is worth: InvalidFile, ..."""

    async def nudge(self, task: TaskName) -> None:
        """Something was written: the controller should look at once."""

    async def serving(self) -> None:
        """Returns when a classifier replica has answered. Raises Unavailable when none does in time."""
