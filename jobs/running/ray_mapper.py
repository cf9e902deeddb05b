"""Parts spread over a Ray cluster by Ray Data: a pool of actors that keep their models, and one row per part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import ray
from ray.data import ActorPoolStrategy, DataContext

from jobs.parts import Done, PartWork
from tornio.api.base import error_class, problem_type
from tornio.errors import InvalidInput, RunFailed, TornioError, storable
from tornio.schemas.runs import RunPlan
from tornio.settings import JobSettings


class _Worker:
    """Runs inside an actor. The stage's work is created once, with its first part.

    An error of ours is returned as two words of the row, its kind and its message: Ray would wrap it into a traceback,
    or into the news that an actor died.
    """

    def __init__(self, stage: str, plan: str) -> None:
        self._stage = stage
        self._plan = RunPlan.decode(plan.encode())
        self._work: PartWork | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        kind = message = ""
        try:
            if self._work is None:
                self._work = self._made()
            for part in batch["part"]:
                self._work.do(int(part))
        except TornioError as error:
            kind, message = problem_type(type(error)), str(error)
        rows = len(batch["part"])
        return {"part": np.asarray(batch["part"]), "kind": [kind] * rows, "message": [storable(message)] * rows}

    def _made(self) -> PartWork:
        from jobs.context import JobContext
        from jobs.table import JOBS

        context = JobContext.from_environment(self._plan.args.get("precision"))
        stages = JOBS[self._plan.job].stages
        if stages is None:
            raise InvalidInput(f"The job {self._plan.job} cannot be done in parts.")
        return stages()[self._stage](self._plan, context.store, context.loader)


class RayDataMapper:
    """The ``PartMapper`` over Ray Data. Another actor repeats the parts of a dead one; an error ends the stage."""

    def __init__(self, settings: JobSettings | None = None) -> None:
        self._settings = settings or JobSettings()

    def run(self, stage: str, plan: RunPlan, parts: Sequence[int], done: Done) -> None:
        if not parts:
            return
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        gpus = resources.get("GPU", 0) > 0
        fit = int(resources["GPU"] if gpus else resources.get("CPU", 1))
        most = min(len(parts), self._settings.workers or max(1, fit))
        context = DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = False
        rows = ray.data.from_items([{"part": part} for part in parts], override_num_blocks=len(parts))
        results = rows.map_batches(
            _Worker,
            fn_constructor_args=(stage, plan.encode().decode()),
            batch_size=1,
            compute=ActorPoolStrategy(min_size=1, max_size=most, max_tasks_in_flight_per_actor=2),
            num_cpus=self._settings.worker_cpus,
            num_gpus=1 if gpus else 0,
        )
        count_rows(results.iter_rows(), done)


def count_rows(rows: Iterable[dict[str, Any]], done: Done) -> None:
    """Report each row that a worker returns, and raise the error that one returns."""
    for row in rows:
        if row["kind"]:
            raise (error_class(row["kind"]) or RunFailed)(row["message"])
        done(int(row["part"]))
