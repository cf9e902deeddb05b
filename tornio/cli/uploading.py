"""Files of this machine for runs on the cluster: they are sent before the run is asked for. ``tornio uploads``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tornio.api import UPLOAD, RunRequest, TaskName, UploadOut, Uploads
from tornio.cli import screen
from tornio.cli.connect import Context, Json, Url, connect
from tornio.cli.screen import ago
from tornio.client import Client
from tornio.errors import InvalidFile

_ELSEWHERE = ("s3://", "hub:", UPLOAD)
_MIB = 1 << 20


def register(app: typer.Typer) -> None:
    app.command("uploads")(uploads)


def with_upload(client: Client, task: str, request: RunRequest, *, quiet: bool) -> RunRequest:
    """Return the request, whose ``data`` is sent first if it is a file of this machine.

    A request without such a field stays as it is. Raises InvalidFile for a path that is no file, and what
    ``Client.upload`` raises.
    """
    data = getattr(request, "data", None)
    if not isinstance(data, str) or data.startswith(_ELSEWHERE):
        return request
    path = Path(data)
    if path.is_dir():
        raise InvalidFile(
            f"{data} is a folder, and a run on the cluster takes one file of this machine. Put the data into one file, "
            "or into S3: s3://bucket/folder"
        )
    if not path.is_file():
        raise InvalidFile(f"no file {data} exists. Correct --data")
    with screen.progress(f"sending {path.name}", path.stat().st_size, quiet) as advance:
        upload = client.upload(TaskName.parse(task).workspace, path, advance)
    return request.model_copy(update={"data": UPLOAD + upload.name})


def uploads(
    ctx: Context,
    workspace: Annotated[str, typer.Argument(metavar="WORKSPACE", help="Workspace.", show_default=False)],
    delete: Annotated[
        str | None, typer.Option(metavar="NAME", help="Delete this upload, or the one of this file name.")
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List the files that were sent to a workspace for runs, or delete one of them."""
    with connect(ctx, url) as client:
        found = client.uploads(workspace)
        if delete is not None:
            gone = client.delete_upload(workspace, _named(found, delete))
            screen.dump(gone) if as_json else screen.say(f"deleted {gone.name} ({gone.file})")
            return
    if as_json:
        screen.dump(found)
        return
    now = datetime.now(UTC)
    if found.uploads:
        rows = [_row(one, now) for one in found.uploads]
        screen.show(screen.table(("=upload", "file", "#MiB", "sent by", "begun", "expires"), rows))
    screen.say(f"{_mib(found.bytes)} of {_mib(found.quota_bytes)} MiB are used")


def _named(found: Uploads, name: str) -> str:
    """The upload of this name, or else the only one of this file."""
    of_file = [one.name for one in found.uploads if one.file == name]
    return of_file[0] if len(of_file) == 1 else name


def _row(upload: UploadOut, now: datetime) -> tuple[str, ...]:
    file = (
        upload.file if upload.whole else f"{upload.file} (not whole: {screen.percent(upload.received / upload.size)})"
    )
    days = max(0.0, (upload.expires_at - now).total_seconds() / 86_400)
    return upload.name, file, _mib(upload.size), upload.who, ago(upload.created_at, now), f"in {days:.0f} days"


def _mib(size: int) -> str:
    return f"{size / _MIB:,.1f}"
