"""The results of runs that are done."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from urllib.parse import quote

from tornio import api
from tornio.api import TaskName
from tornio.client.http import Session
from tornio.errors import InvalidInput, Unavailable


class ResultMethods:
    """What a client does with results."""

    _session: Session

    async def run_rows(self, task: str, run: str, most: int = 10) -> api.RunRows:
        """Return the first rows of a result, such as the most suspicious ones. Raises Conflict before it is done."""
        return await self._session.get(f"{run_path(task, run)}/rows?most={most}", api.RunRows)

    async def run_files(self, task: str, run: str) -> list[api.RunFileOut]:
        """List the files of a result. Raises Conflict before it is done."""
        return (await self._session.get(f"{run_path(task, run)}/files", api.RunFiles)).files

    async def run_file(self, task: str, run: str, file: api.RunFileOut, start: int = 0) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of a file of a result in pieces, from ``start`` on. Raises Conflict if it has changed since
        it was listed, and Unavailable if it ends early."""
        path = f"{run_path(task, run)}/files/{quote(file.name, safe='')}"
        while start < file.size:
            piece = await self._session.get_bytes(path, {"etag": file.etag, "start": str(start)})
            if not piece:
                raise Unavailable(f"{file.name} ended after {start:,} of {file.size:,} bytes. Try again.")
            yield piece
            start += len(piece)


def run_path(task: str, run: str) -> str:
    """Return the path of a run. Raises InvalidInput."""
    name = TaskName.parse(task)
    if not re.fullmatch(api.RUN_PATTERN, run):
        raise InvalidInput(f"{run!r} is no run id. List the runs with `tornio runs {task}`")
    return f"/v1/tasks/{name.workspace}/{name.task}/runs/{run}"
