"""Tasks: their specs, their records and labels, their status, and what a user asks of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Request
from fastapi.responses import StreamingResponse

from services.gateway import openapi
from services.gateway.dependencies import PROBLEMS, Admin, Annotating, AnyCaller, Operator, Reader, Task, TheBackend
from tornio.api import (
    COUNT_HEADER,
    JSON_LINES,
    Annotators,
    Applied,
    Asked,
    DeleteIn,
    LabelMigrationIn,
    LabelsImported,
    LabelsIn,
    ModelIn,
    PromoteIn,
    RecordsAdded,
    RecordsDeleted,
    RecordsIn,
    RollbackIn,
    Serving,
    TaskName,
    Tasks,
    TaskStatus,
    TrainNowIn,
    Versions,
    checked_spec,
)
from tornio.errors import InvalidSpec
from tornio.spec import TaskSpec
from tornio.specfile import read_spec
from tornio.status.asks import Ask
from tornio.tasks import LabelsExport

router = APIRouter(prefix="/v1/tasks", tags=["tasks"], responses=PROBLEMS)

_READER = ThreadPoolExecutor(1, "spec")
"""Reads specs beside the event loop, one at a time: the longest YAML that is allowed takes seconds."""
_SPEC_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": openapi.SPEC},
            "application/yaml": {"schema": {"type": "string", "description": "A task.yaml"}},
        },
    }
}


@router.get("")
async def list_tasks(backend: TheBackend, caller: AnyCaller) -> Tasks:
    """List the tasks that the key has access to."""
    return Tasks(tasks=list(await backend.tasks(caller.sees)))


@router.put("/{workspace}/{task}", openapi_extra=_SPEC_BODY)
async def apply(
    request: Request, task: Task, backend: TheBackend, caller: Operator, migrate_labels: bool = False
) -> Applied:
    """Create a task, or change its spec. Applying the same spec twice changes nothing.

    Labels change only with `migrate_labels`. Without it, the answer is 409 and says what would become of them."""
    content_type = request.headers.get("content-type", "")
    reading = asyncio.get_running_loop().run_in_executor(_READER, _read_spec, await request.body(), content_type, task)
    spec = await reading
    return await backend.apply(spec, caller.name, migrate_labels)


@router.get("/{workspace}/{task}")
async def status(task: Task, backend: TheBackend, _: Reader) -> TaskStatus:
    """Show the status of the task, and why it is in that state."""
    return await backend.status(task)


@router.post("/{workspace}/{task}/records")
async def add_records(
    body: RecordsIn, task: Task, backend: TheBackend, caller: Annotating, duplicates: bool = False
) -> RecordsAdded:
    """Add texts to the pool. Sending a record again is harmless.

    A record whose text the pool has under another id is left out, unless `duplicates` is true."""
    return await backend.add_records(task, body, caller.name, duplicates=duplicates)


@router.post("/{workspace}/{task}/records/delete")
async def delete_records(body: DeleteIn, task: Task, backend: TheBackend, caller: Admin) -> RecordsDeleted:
    """Delete records for ever, or say with `dry_run` what that would do. Deleting a record again changes nothing.

    An id that the pool does not have is refused, and then nothing is deleted. Nobody is shown or learns from a deleted
    record from then on."""
    return await backend.delete_records(task, body, caller.name)


@router.post("/{workspace}/{task}/labels")
async def import_labels(body: LabelsIn, task: Task, backend: TheBackend, caller: Annotating) -> LabelsImported:
    """Import labels that exist already, for training or as hold-out."""
    return await backend.import_labels(task, body, caller.name)


@router.post("/{workspace}/{task}/labels/migrate")
async def migrate_labels(body: LabelMigrationIn, task: Task, backend: TheBackend, caller: Operator) -> Applied:
    """Rename, merge, remove and add labels, or say what would become of them. Labels of before are kept."""
    return await backend.migrate_labels(task, body, caller.name)


@router.get("/{workspace}/{task}/labels", response_class=StreamingResponse)
async def export_labels(task: Task, backend: TheBackend, caller: Operator) -> StreamingResponse:
    """Export what the task takes as true, as JSON lines. The header Tornio-Count gives their number."""
    export = await backend.labels(task, caller.name)
    return StreamingResponse(_lines(export), media_type=JSON_LINES, headers={COUNT_HEADER: str(export.count)})


@router.get("/{workspace}/{task}/annotators")
async def annotators(task: Task, backend: TheBackend, _: Annotating) -> Annotators:
    """Say how the annotators agree: each with the others, each two, and label by label."""
    return await backend.annotators(task)


@router.get("/{workspace}/{task}/versions")
async def versions(task: Task, backend: TheBackend, _: Operator) -> Versions:
    """List the versions, why each was promoted or refused, and which hold-out answers changed."""
    return Versions(versions=list(await backend.versions(task)))


@router.get("/{workspace}/{task}/model", response_class=StreamingResponse)
async def export_model(
    task: Task, backend: TheBackend, caller: Operator, version: Annotated[str | None, Query(max_length=200)] = None
) -> StreamingResponse:
    """Hand out a version, by default the one that serves, as a tar stream: its documents and files, and its base model.

    `tornio export model` makes of it a folder that other libraries load."""
    made = await backend.served.export(task, caller.name, version)
    return StreamingResponse(made.tar, media_type="application/x-tar")


@router.post("/{workspace}/{task}/model")
async def import_model(body: ModelIn, task: Task, backend: TheBackend, caller: Operator) -> Asked:
    """Import an exported version that was sent as an upload: it is judged as one that was trained here is, and serves
    if it passes."""
    return await backend.served.take(task, caller.name, body)


@router.post("/{workspace}/{task}/rollback")
async def rollback(
    task: Task, backend: TheBackend, caller: Operator, body: Annotated[RollbackIn | None, Body()] = None
) -> Serving:
    """Serve the version again that served before; each rollback goes one further back. Nothing is promoted until
    `resume`."""
    return await backend.rollback(task, body or RollbackIn(), caller.name)


@router.post("/{workspace}/{task}/versions/{version}/promote")
async def promote(
    version: Annotated[str, Path(max_length=200)],
    task: Task,
    backend: TheBackend,
    caller: Operator,
    body: Annotated[PromoteIn | None, Body()] = None,
) -> Asked:
    """Let a version serve that was trained before: an older one, one that is held, or, with `force`, one that the gate
    refused for its scores. Nothing newer is promoted until `resume`. Asking again changes nothing."""
    return await backend.served.promote(task, caller.name, version, body or PromoteIn())


@router.post("/{workspace}/{task}/pause")
async def pause(task: Task, backend: TheBackend, caller: Operator) -> Asked:
    """Start no more batches and trainings. Runs that are under way end, and predictions go on."""
    return await backend.ask(task, Ask.PAUSE, caller.name)


@router.post("/{workspace}/{task}/resume")
async def resume(task: Task, backend: TheBackend, caller: Operator) -> Asked:
    """Go on after a pause, or promote again after a rollback."""
    return await backend.ask(task, Ask.RESUME, caller.name)


@router.post("/{workspace}/{task}/train-now")
async def train_now(
    task: Task, backend: TheBackend, caller: Operator, body: Annotated[TrainNowIn | None, Body()] = None
) -> Asked:
    """Train with the present labels, without waiting for the batch to close. Without a new label it answers 409."""
    return await backend.ask(task, Ask.TRAIN_NOW, caller.name, body is not None and body.force)


def _read_spec(body: bytes, content_type: str, task: TaskName) -> TaskSpec:
    where = "the request's body"
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidSpec(f"The request's body is not UTF-8 (byte {error.start}).") from error
    spec = read_spec(text, where) if "yaml" in content_type else checked_spec(text, where)
    if (spec.workspace, spec.name) != task:
        raise InvalidSpec(
            f"The request's body describes {spec.full_name}, but the address {task}. They must be the same task."
        )
    return spec


def _lines(export: LabelsExport) -> Iterator[str]:
    """Yield some hundred lines at a time: a piece costs the same whatever its size."""
    while piece := list(islice(export.records, 500)):
        yield "".join(json.dumps(record.model_dump(mode="json"), ensure_ascii=False) + "\n" for record in piece)
