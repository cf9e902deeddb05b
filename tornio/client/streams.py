"""Answers that are read while they arrive: lines, and files."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import Any

import httpx

from tornio.errors import Unavailable


def lines(response: httpx.Response) -> Iterator[str]:
    """Yield lines that end with a line feed only, because texts may contain other line ends."""
    rest = ""
    for piece in response.iter_text():
        *whole, rest = (rest + piece).split("\n")
        yield from whole
    if rest:
        yield rest


def unpack(response: httpx.Response, folder: Path, progress: Callable[[int], object]) -> None:
    """Write the files of a tar stream into a folder. ``progress``: called with the bytes of each piece.

    Raises Unavailable for a stream that is no tar or ends early, and for a name that leads outside of the folder.
    """
    with BufferedReader(_Pieces(response.iter_bytes(), progress)) as file:
        try:
            with tarfile.open(fileobj=file, mode="r|") as tar:
                tar.extractall(folder, filter="data")
        except tarfile.TarError as error:
            raise Unavailable(f"The export ended early or is broken ({error}). Try again.") from error


class _Pieces(RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, pieces: Iterator[bytes], progress: Callable[[int], object]) -> None:
        self._pieces, self._progress, self._rest = pieces, progress, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
            self._progress(len(piece))
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)
