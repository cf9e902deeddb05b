"""A partial result beside the file that is to be written, so that an interrupted command can go on where it stopped.

It is a text. Its first line is a JSON object that says of what it is a part; each other line is the answer to a row, in
the order of the rows. A line that is not whole, because the process was killed while it wrote, is as if it were not
there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tornio.errors import InvalidFile
from tornio.files.locked import locked
from tornio.files.predicted import Answer

SUFFIX = ".partial"
_FORMAT = 1


@dataclass(slots=True)
class Partial:
    """The answers up to now. ``done``: how many they are. One process writes at a time."""

    path: Path
    done: int
    _file: BinaryIO

    def append(self, answers: Iterable[Answer]) -> None:
        """Add the answers to the next rows, so that they survive the end of this process."""
        lines = [_line(answer) for answer in answers]
        self._file.write(b"".join(lines))
        self._file.flush()
        self.done += len(lines)

    def lines(self) -> Iterator[str]:
        """Yield the line of each answer, for ``read_answer``."""
        with self.path.open(encoding="utf-8", newline="\n") as file:
            file.readline()
            yield from file


@contextmanager
def open_partial(output: Path, head: Mapping[str, str], *, restart: bool = False) -> Iterator[Partial]:
    """The partial result of ``output``, which stays if the block is left by an error, and is removed otherwise.

    ``head``: what it is a part of. ``restart``: throw an earlier one away. Raises InvalidFile for an earlier one of
    another head, and Conflict while another process writes it.
    """
    path = output.with_name(output.name + SUFFIX)
    with locked(path) as file:
        if restart:
            file.truncate(0)
        done = _checked(file, path, {"format": str(_FORMAT), **head})
        yield Partial(path, done, file)
        path.unlink(missing_ok=True)


def read_answer(line: str) -> Answer:
    """Return the answer of a line."""
    version, labels, several, score, truncated, certainty, probabilities = json.loads(line)
    return Answer(version, tuple(labels), several, score, truncated, certainty, probabilities)


def _line(answer: Answer) -> bytes:
    values = (
        answer.version,
        answer.labels,
        answer.several,
        answer.score,
        answer.truncated,
        answer.certainty,
        answer.probabilities,
    )
    return (json.dumps(values, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def _checked(file: BinaryIO, path: Path, head: Mapping[str, str]) -> int:
    """Return how many answers the file has, after cutting off what is not whole. An empty file gets its head."""
    file.seek(0)
    first = file.readline()
    if not first.endswith(b"\n"):  # new, or killed before it had a head
        file.truncate(0)
        file.write(json.dumps(dict(head), ensure_ascii=False).encode() + b"\n")
        file.flush()
        return 0
    _check_head(first, path, head)
    done, end = 0, len(first)
    for line in file:
        if not (line.startswith(b"[") and line.endswith(b"]\n")):
            break
        done, end = done + 1, end + len(line)
    file.truncate(end)
    return done


def _check_head(first: bytes, path: Path, head: Mapping[str, str]) -> None:
    try:
        found = json.loads(first)
    except ValueError as error:
        raise InvalidFile(f"{path} is no partial result of this command. Move it away") from error
    other = [name for name in head if not isinstance(found, dict) or found.get(name) != head[name]]
    if other:
        raise InvalidFile(
            f"{path} is the partial result of another command: {other[0]} differs. Start that command again to finish "
            "it, give another --output, or give --restart to throw it away"
        )
