"""Send files of this machine to a workspace, in parts: only one of them is in memory."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from tornio import api
from tornio.client.http import Session
from tornio.client.predictions import Progress, silent
from tornio.errors import InvalidFile, InvalidInput
from tornio.exchange.packing import files_of, pack, read_about
from tornio.spec import NAME_PATTERN
from tornio.storage.files import sha256_of


class UploadMethods:
    """What a client does with uploads."""

    _session: Session

    async def upload(self, workspace: str, path: Path | str, progress: Progress = silent) -> api.UploadOut:
        """Send a file, so that runs of tasks of the workspace can read it as ``upload:NAME``.

        A file that is there already is not sent again, and an interrupted upload goes on where it was. ``progress`` is
        called with the number of bytes that are there, and then with that of each part. Raises InvalidFile for a file
        that cannot be read, is empty, or has an ending that tells no format; InvalidInput for one that is too large or
        changes while it is sent; Conflict where it does not fit into the quota of the workspace.
        """
        path = Path(path)
        ending = path.suffix.lower().removeprefix(".")
        if ending not in api.ENDINGS:
            endings = ", ".join(f".{one}" for one in api.ENDINGS)
            raise InvalidFile(f"{path}: the ending {path.suffix!r} tells no format. Use one of {endings}")
        try:
            return await self._send_file(workspace, path, ending, progress)
        except OSError as error:
            raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error

    async def import_version(
        self, task: str, folder: Path | str, why: str = "", progress: Progress = silent
    ) -> api.Asked:
        """Send a version that ``tornio export model`` wrote. It is judged as one that was trained here is, and serves
        if it passes. ``folder``: as it was written. ``progress``: see ``upload``.

        Raises InvalidInput for another folder and for other labels than the task's, and what ``upload`` raises.
        """
        name, folder = api.TaskName.parse(task), Path(folder)
        aside = self._session.wire.aside
        about, files = await aside(read_about, folder), await aside(files_of, folder)
        with tempfile.TemporaryDirectory(prefix="tornio-") as scratch:
            tar = Path(scratch) / "model.tar"
            await aside(pack, files, tar)
            sent = await self._send_file(name.workspace, tar, api.MODEL_ENDING, progress)
        body = {"upload": sent.name, "labels": list(about.labels), "multi_label": about.multi_label, "why": why}
        return await self._session.post(
            f"/v1/tasks/{name.workspace}/{name.task}/model", api.Asked, body, repeatable=False
        )

    async def uploads(self, workspace: str) -> api.Uploads:
        """List the uploads of a workspace, newest first, and how much of its quota they take."""
        return await self._session.get(_path(workspace), api.Uploads)

    async def delete_upload(self, workspace: str, name: str) -> api.UploadOut:
        """Delete an upload, and return what it was. A run that has not read it yet will fail."""
        return await self._session.delete(_path(workspace, name), api.UploadOut)

    async def _send_file(self, workspace: str, path: Path, ending: str, progress: Progress) -> api.UploadOut:
        size = path.stat().st_size
        if not size:
            raise InvalidFile(f"{path} is empty")
        aside = self._session.wire.aside
        where = _path(workspace, f"{await aside(sha256_of, path)}.{ending}")
        upload = await self._session.put(where, api.UploadOut, {"size": size, "file": path.name[-500:]})
        progress(upload.received)
        while upload.missing:
            with path.open("rb") as file:
                for part in upload.missing:
                    file.seek(part * upload.part_bytes)
                    body = await aside(file.read, upload.part_bytes)
                    await self._session.put_bytes(f"{where}/parts/{part}", api.UploadPartOut, body)
                    progress(len(body))
            upload = await self._session.get(where, api.UploadOut)
        while not upload.whole:
            upload = await self._session.post(f"{where}/complete", api.UploadOut, repeatable=True)
        return upload


def _path(workspace: str, name: str = "") -> str:
    if not re.fullmatch(NAME_PATTERN, workspace):
        raise InvalidInput(f"{workspace!r} is not the name of a workspace")
    if name and not re.fullmatch(api.UPLOAD_PATTERN, name):
        raise InvalidInput(f"{name!r} is no upload. List them with: tornio uploads {workspace}")
    return f"/v1/workspaces/{workspace}/uploads" + (f"/{name}" if name else "")
