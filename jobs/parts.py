"""Large work in parts, as a port: each part is done by itself, anywhere, and is done again without harm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from jobs.context import JobContext
    from tornio.schemas.runs import RunPlan

Done = Callable[[int], None]
"""Called with the number of each part that is done, in any order."""


class PartWork(Protocol):
    """What is done with a part. Made once a process, then used for many parts: models stay loaded."""

    def do(self, part: int) -> None:
        """Read the part, work, write the outcome under its final name, last."""


MakeWork = Callable[["RunPlan", "JobContext"], PartWork]


class PartMapper(Protocol):
    """How parts are spread."""

    def run(self, stage: str, plan: RunPlan, parts: Sequence[int], done: Done) -> None:
        """Do this stage (a key of ``jobs.scoring.STAGES``) of the plan for these parts; what a part raises ends it."""


class InlineMapper:
    """One part after the other in this process."""

    def __init__(self, stages: dict[str, MakeWork], context: JobContext) -> None:
        self._stages = stages
        self._context = context

    def run(self, stage: str, plan: RunPlan, parts: Sequence[int], done: Done) -> None:
        if not parts:
            return
        work = self._stages[stage](plan, self._context)
        for part in parts:
            work.do(part)
            done(part)
