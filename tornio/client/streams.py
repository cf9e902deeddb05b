"""Answers that are read while they arrive: lines, and files."""

from __future__ import annotations

import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

from tornio.errors import Unavailable


async def lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield lines that end with a line feed only, because texts may contain other line ends."""
    rest = b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line
    if rest:
        yield rest


def unpack(file: IO[bytes], folder: Path) -> None:
    """Write the files of a tar into a folder.

    Raises Unavailable for bytes that are no tar or end early, and for a name that leads outside of the folder.
    """
    try:
        with tarfile.open(fileobj=file, mode="r|") as tar:
            tar.extractall(folder, filter="data")
    except tarfile.TarError as error:
        raise Unavailable(f"The export ended early or is broken ({error}). Try again.") from error
