"""Ask for a run, and cancel it: what is written here the controller does."""

from __future__ import annotations

from datetime import datetime

from tornio.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from tornio.runs.reading import RunReader
from tornio.runs.record import RunState
from tornio.schemas.runs import RunAsk, RunPlan
from tornio.storage import documents
from tornio.storage.keys import TaskKeys
from tornio.storage.port import ObjectStore


def ask_for_run(store: ObjectStore, plan: RunPlan, who: str, now: datetime) -> None:
    """Write plan and asking down. A run that is done or under way stays as it is; one that has failed or was cancelled
    begins again, and does only what is missing.

    Raises InvalidInput for a run without a task.
    """
    if plan.task is None:
        raise InvalidInput(f"run {plan.run} is of no task: only a task's runs are started by the controller")
    keys = TaskKeys(plan.workspace, plan.task)
    documents.create_or_get(store, keys.run(plan.run).plan, plan)
    before = RunReader(store, plan.workspace, plan.task).run(plan.run).attempt  # of somebody's `tornio score`
    ask = RunAsk(run=plan.run, job=plan.job, who=who, asked_at=now, after=before)
    try:
        documents.create(store, keys.run_ask(plan.run), ask)
    except AlreadyExists:
        _ask_again(store, plan, who, now)


def _ask_again(store: ObjectStore, plan: RunPlan, who: str, now: datetime) -> None:
    reader = RunReader(store, plan.workspace, plan.task)

    def begin_again(ask: RunAsk) -> RunAsk:
        record = reader.run(plan.run)
        if record.state not in (RunState.FAILED, RunState.CANCELLED):
            return ask
        return ask.evolve(who=who, asked_at=now, after=record.attempt, cancelled_by=None, cancelled_at=None)

    documents.update(store, TaskKeys(plan.workspace, str(plan.task)).run_ask(plan.run), RunAsk, begin_again)


def cancel_run(store: ObjectStore, workspace: str, task: str, run: str, who: str, now: datetime) -> None:
    """Let it be tried no more, and what runs of it be ended; again is harmless.

    Raises NotFound, and Conflict for a run that is over or is the loop's.
    """
    record = RunReader(store, workspace, task).run(run)
    if record.state in (RunState.DONE, RunState.FAILED):
        raise Conflict(f"run {run} is {record.state} already: there is nothing to cancel")
    if record.ask is None:
        raise Conflict(
            f"run {run} is not one that was asked for: the loop's go on until they end, and `tornio pause "
            f"{workspace}/{task}` lets none follow; one that `tornio score` began ends with Ctrl-C there"
        )

    def cancelled(ask: RunAsk) -> RunAsk:
        return ask if ask.cancelled_by is not None else ask.evolve(cancelled_by=who, cancelled_at=now)

    try:
        documents.update(store, TaskKeys(workspace, task).run_ask(run), RunAsk, cancelled)
    except NotFound:
        raise Conflict(f"run {run} was not asked for any more: look with `tornio runs {workspace}/{task}`") from None
