"""The job ``purge``: take the texts of deleted records out of the store."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.context import JobContext, RunContext
from jobs.table import JOBS
from tornio.api import PurgeRequest, TaskName
from tornio.errors import Conflict, InvalidInput
from tornio.loop.plans import waited_for
from tornio.pool.purging import Purge
from tornio.runs import RunReader
from tornio.schemas.jobs import AdaptArgs, LearnedPart, PurgeArgs, PurgeOutput
from tornio.schemas.runs import RunPlan
from tornio.storage import documents
from tornio.tasks import Task, adaptable_rows, last_deletion, learned_from

__all__ = ["PurgeArgs", "plan", "run"]


def plan(request: PurgeRequest, task: TaskName, context: JobContext) -> RunPlan:
    """Return the plan for the records that are deleted now. The same deletions are the same run.

    Raises InvalidInput where nothing was deleted, and Conflict while a run is under way that was planned before a
    deletion: its process may have the text, and write it again.
    """
    opened = context.tasks.open(*task)
    log = opened.labels.read()
    last = last_deletion(log)
    if not last:
        raise InvalidInput(
            f"no record of {task} was deleted, so there is nothing to purge. Delete records first: tornio pool delete "
            f"{task}"
        )
    if earlier := list(_under_way(opened, last)):
        raise Conflict(
            f"{', '.join(earlier)} was planned before the last deletion, and may still have texts of deleted records. "
            f"Purge when it is over (tornio runs {task}), or cancel it if you have started it."
        )
    return RunPlan.of(request.job, *task, PurgeArgs(label_seq=last, spec_rev=opened.document.spec_rev))


def run(args: PurgeArgs, context: RunContext) -> PurgeOutput:
    """Purge the store, and say who has learned from the records. See ``tornio.pool.purging``."""
    task, store = context.task, context.job.store
    deleted = task.labels.read().deleted
    versions = learned_from(task, deleted)  # before the purge, which takes the digests of the texts
    encoders = tuple(_adapted(task, deleted))

    def forget(name: str) -> None:
        plan, _ = documents.load(store, task.keys.run(name).plan, RunPlan)
        job = JOBS.get(plan.job)
        if job is not None and job.forget is not None:
            job.forget(plan, store)

    def step(stage: str, done: int, total: int) -> None:
        context.progress(stage, done, total, "objects")

    done = Purge(store, task.keys, deleted, forget, step).run()
    return PurgeOutput(
        deleted=len(deleted),
        **{name: done[name] for name in ("records", "parts", "caches", "views", "score_runs", "answers")},
        versions=tuple(LearnedPart(version=one.version, labelled=one.labelled, read=one.read) for one in versions),
        encoders=encoders,
    )


def _under_way(task: Task, last: int) -> Iterator[str]:
    """Yield the runs that are not over and were planned before the label log had the part ``last``."""
    for waited in waited_for(task.loop_state(), task.spec):
        if int(waited.args["label_seq"]) < last and task.store.head(waited.run_keys.result) is None:
            yield waited.run
    reader = RunReader(task.store, task.workspace, task.name)
    for name, _ in reader.asks():
        record = reader.run(name)
        if not record.state.over and record.plan.job != "purge" and int(record.plan.args.get("label_seq", 0)) < last:
            yield name


def _adapted(task: Task, deleted: frozenset[str]) -> Iterator[str]:
    """Yield the names of the base models that were adapted to texts of these records."""
    reader = RunReader(task.store, task.workspace, task.name)
    for name, _ in reader.asks():
        record = reader.run(name)
        if record.plan.job != "adapt" or record.result is None:
            continue
        args = AdaptArgs.model_validate(record.plan.args)
        view, events = task.pool.read(args.pool_seq), task.labels_as_they_were(args.label_seq, args.spec_rev)
        rows = adaptable_rows(view, events, task.spec_at(args.spec_rev), task.document.holdout_key)
        if deleted & {view.record_ids[row] for row in rows}:
            yield args.name
