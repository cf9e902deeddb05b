"""Large work in parts, as a port: each part can be done anywhere, and doing it again is harmless."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tornio.models.loading import Loader
from tornio.schemas.runs import RunPlan
from tornio.storage.port import ObjectStore

Done = Callable[[int], None]
"""Called with the number of each part that is done, in any order."""


class PartWork(Protocol):
    """What is done with a part. Made once in each process and used for many parts, so models stay loaded."""

    def do(self, part: int) -> None:
        """Read the part, do the work, and write the outcome under its final name, last."""


MakeWork = Callable[[RunPlan, ObjectStore, Loader], PartWork]
Stages = Mapping[str, MakeWork]
"""The work of each stage by its name. Only the name travels to a worker; the code is there already."""


class PartMapper(Protocol):
    """Spreads the parts of a run."""

    def run(self, stage: str, plan: RunPlan, parts: Sequence[int], done: Done) -> None:
        """Do a stage of the plan's job for these parts. An error of one part ends the stage."""


class InlineMapper:
    """Does one part after the other in this process."""

    def __init__(self, stages: Stages, store: ObjectStore, loader: Loader) -> None:
        self._stages = stages
        self._store = store
        self._loader = loader

    def run(self, stage: str, plan: RunPlan, parts: Sequence[int], done: Done) -> None:
        if not parts:
            return
        work = self._stages[stage](plan, self._store, self._loader)
        for part in parts:
            work.do(part)
            done(part)
