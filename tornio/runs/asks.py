"""Ask for a run, and cancel it. The controller acts on the documents that are written here."""

from __future__ import annotations

from datetime import datetime

from tornio.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from tornio.runs.reading import RunReader
from tornio.runs.record import RunState
from tornio.schemas.keys import TaskKeys
from tornio.schemas.runs import RunAsk, RunPlan
from tornio.storage import documents
from tornio.storage.port import ObjectStore

_BEGIN_AGAIN = RunState.FAILED, RunState.CANCELLED
"""States of runs that begin again when somebody asks for them once more."""


def ask_for_run(store: ObjectStore, plan: RunPlan, who: str, now: datetime) -> None:
    """Store the plan and the request. A run that is done or under way stays as it is. A run that has failed or was
    cancelled begins again, and does only what is missing.

    Raises InvalidInput for a run without a task.
    """
    if plan.task is None:
        raise InvalidInput(f"run {plan.run} belongs to no task. Plan it with a task: the controller starts no others")
    keys = TaskKeys(plan.workspace, plan.task)
    documents.create_or_get(store, keys.run(plan.run).plan, plan)
    before = RunReader(store, plan.workspace, plan.task).run(plan.run).attempt  # attempts of a `tornio score`
    ask = RunAsk(run=plan.run, job=plan.job, who=who, asked_at=now, after=before)
    try:
        documents.create(store, keys.run_ask(plan.run), ask)
    except AlreadyExists:
        _ask_again(store, plan, who, now)


def is_asked_for(store: ObjectStore, plan: RunPlan) -> bool:
    """Whether the run is done or under way because somebody asked for it, so that asking again would change nothing."""
    try:
        record = RunReader(store, plan.workspace, plan.task).run(plan.run)
    except NotFound:
        return False
    return record.ask is not None and record.state not in _BEGIN_AGAIN


def _ask_again(store: ObjectStore, plan: RunPlan, who: str, now: datetime) -> None:
    reader = RunReader(store, plan.workspace, plan.task)

    def begin_again(ask: RunAsk) -> RunAsk:
        record = reader.run(plan.run)
        if record.state not in _BEGIN_AGAIN:
            return ask
        return ask.evolve(who=who, asked_at=now, after=record.attempt, cancelled_by=None, cancelled_at=None)

    documents.update(store, TaskKeys(plan.workspace, str(plan.task)).run_ask(plan.run), RunAsk, begin_again)


def cancel_run(store: ObjectStore, workspace: str, task: str, run: str, who: str, now: datetime) -> None:
    """End a run: no attempt follows, and one that runs is ended. Cancelling twice is harmless.

    Raises NotFound, and Conflict for a run that is over or that the loop started.
    """
    record = RunReader(store, workspace, task).run(run)
    if record.state in (RunState.DONE, RunState.FAILED):
        raise Conflict(f"run {run} is {record.state} already. There is nothing to cancel")
    if record.ask is None:
        raise Conflict(
            f"run {run} is not one that a user asked for. A run of the loop goes on until it ends; `tornio pause "
            f"{workspace}/{task}` prevents the next one. A run of `tornio score` ends with Ctrl-C there"
        )

    def cancelled(ask: RunAsk) -> RunAsk:
        return ask if ask.cancelled_by is not None else ask.evolve(cancelled_by=who, cancelled_at=now)

    try:
        documents.update(store, TaskKeys(workspace, task).run_ask(run), RunAsk, cancelled)
    except NotFound:
        raise Conflict(f"no user asks for run {run} any more. Look with `tornio runs {workspace}/{task}`") from None
