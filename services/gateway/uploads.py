"""Uploads: files that users send to a workspace, part by part, for runs on the cluster."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request

from services.gateway.callers import Caller, Role
from services.gateway.dependencies import PROBLEMS, TheBackend, WorkspaceName, caller_with
from tornio.api import MAX_PARTS, UPLOAD_PATTERN, UploadIn, UploadOut, UploadPartOut, Uploads

router = APIRouter(prefix="/v1/workspaces/{workspace}/uploads", tags=["uploads"], responses=PROBLEMS)

BYTES = "application/octet-stream"
_Name = Annotated[str, Path(pattern=f"^{UPLOAD_PATTERN}$", description="SHA-256 of the file, and its ending.")]
_Part = Annotated[int, Path(ge=0, lt=MAX_PARTS)]
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {BYTES: {"schema": {"type": "string", "format": "binary"}, "example": "text,label\n"}},
    }
}


async def _workspace(workspace: WorkspaceName) -> str:
    return workspace


Operator = Annotated[Caller, Depends(caller_with(Role.OPERATE, _workspace))]


@router.get("")
async def list_uploads(workspace: WorkspaceName, backend: TheBackend, _: Operator) -> Uploads:
    """List the uploads of the workspace, newest first, and how much of its quota they take."""
    return await backend.uploads.all(workspace)


@router.put("/{name}")
async def begin(
    body: UploadIn, name: _Name, workspace: WorkspaceName, backend: TheBackend, caller: Operator
) -> UploadOut:
    """Begin to send a file, or go on with it: the answer says which parts are missing.

    A file that is there already need not be sent again. It counts as used now, so it is kept for longer.
    """
    return await backend.uploads.begin(workspace, name, body, caller.name)


@router.get("/{name}")
async def show(name: _Name, workspace: WorkspaceName, backend: TheBackend, _: Operator) -> UploadOut:
    """Show an upload, and which parts of it are missing."""
    return await backend.uploads.get(workspace, name)


@router.put("/{name}/parts/{part}", openapi_extra=_BODY)
async def put_part(
    request: Request, part: _Part, name: _Name, workspace: WorkspaceName, backend: TheBackend, _: Operator
) -> UploadPartOut:
    """Send a part. Parts have the size that the upload says, and may come in any order, and again."""
    return await backend.uploads.put_part(workspace, name, part, await request.body())


@router.post("/{name}/complete")
async def complete(name: _Name, workspace: WorkspaceName, backend: TheBackend, caller: Operator) -> UploadOut:
    """Put the parts together and check the digest. Ask again while the answer is not ``whole``.

    From then on, a request for a run may name the file as ``upload:NAME``.
    """
    return await backend.uploads.complete(workspace, name, caller.name)


@router.delete("/{name}")
async def delete(name: _Name, workspace: WorkspaceName, backend: TheBackend, caller: Operator) -> UploadOut:
    """Delete an upload. A run that has not read it yet will fail."""
    return await backend.uploads.delete(workspace, name, caller.name)
