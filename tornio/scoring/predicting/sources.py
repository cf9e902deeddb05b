"""What is predicted, as files: those of a data set, or the pool of the task as one file of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Protocol

import pyarrow as pa

from tornio.files.kept import KeptFile, open_kept
from tornio.files.rows import Columns
from tornio.files.sources import on_disk
from tornio.files.tables import Options
from tornio.records import default_record_id
from tornio.schemas.keys import TaskKeys
from tornio.schemas.runs import RunPlan
from tornio.schemas.scoring import PredictArgs
from tornio.schemas.tables import POOL
from tornio.storage.port import ObjectStore
from tornio.tasks import Tasks

_POOL = "pool"
_POOL_COLUMNS = ("record_id", "text", "metadata")
_UNUSUAL = re.compile(r"[^\w.-]")


@dataclass(frozen=True, slots=True)
class FoundText:
    """The text of a row. ``place``: in its file, from 0. ``problem``: why it cannot be used, if it cannot."""

    place: int
    line: int
    record_id: str
    text: str
    problem: str | None = None


class Source(Protocol):
    """One file. It can be read again and again, and is never in memory as a whole."""

    @property
    def name(self) -> str: ...

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def size(self) -> int:
        """How many rows were read, when ``texts`` has ended."""

    def texts(self) -> Iterator[FoundText]: ...

    def rows(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield place and values of each row whose text can be used."""

    def types(self) -> Mapping[str, Any]:
        """Return the pyarrow type of each column. Raises InvalidFile."""


@dataclass(slots=True)
class FileSource:
    """A file of a data set, on this machine."""

    name: str
    kept: KeptFile
    size: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        return self.kept.columns

    def texts(self) -> Iterator[FoundText]:
        for place, row in enumerate(self.kept.every(texts_only=True)):
            self.size = place + 1
            yield FoundText(place, row.line, default_record_id(row.text), row.text, row.problem)

    def rows(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        return ((place, row.values) for place, row in enumerate(self.kept.every()) if row.problem is None)

    def types(self) -> Mapping[str, Any]:
        return self.kept.types()


@dataclass(slots=True)
class PoolSource:
    """The pool of a task up to a part. Records that were deleted until now are left out, wherever the run is."""

    name: str
    store: ObjectStore
    keys: TaskKeys
    seq: int
    deleted: frozenset[str]
    size: int = 0
    columns: tuple[str, ...] = _POOL_COLUMNS

    def texts(self) -> Iterator[FoundText]:
        for place, record_id, text, _ in self._records("record_id", "text"):
            self.size = place + 1
            yield FoundText(place, place + 1, record_id, text)

    def rows(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        for place, record_id, text, metadata in self._records(*_POOL_COLUMNS):
            yield place, {"record_id": record_id, "text": text, "metadata": json.loads(metadata)}

    def types(self) -> Mapping[str, Any]:
        return dict.fromkeys(_POOL_COLUMNS, pa.string())

    def _records(self, *columns: str) -> Iterator[tuple[int, str, str, str]]:
        """Yield place, id, text and metadata. One part of the pool is in memory."""
        place = 0
        for seq in range(1, self.seq + 1):
            key = self.keys.pool_part(seq)
            for row in POOL.decode(self.store.get(key).body, key, columns).select(list(columns)).to_pylist():
                if row["record_id"] not in self.deleted:
                    yield place, row["record_id"], row["text"], row.get("metadata", "")
                place += 1


def files_of(args: PredictArgs) -> int:
    """Return how many files are written."""
    return len(args.files) if args.pool_seq is None else 1


def output_name(args: PredictArgs, file: int) -> str:
    """Return the name of what is written for a file: its number, and its own name where a key can have it."""
    stem = _POOL if args.pool_seq is not None else PurePosixPath(args.files[file].uri).stem
    return f"{file:06d}-{_UNUSUAL.sub('_', stem)[:100]}.{args.format}"


@contextmanager
def opened(args: PredictArgs, plan: RunPlan, file: int, store: ObjectStore) -> Iterator[Source]:
    """The file with this number. One in S3 is downloaded, and removed afterwards. Raises InvalidFile, NotFound."""
    if args.pool_seq is not None and plan.task is not None:
        task = Tasks(store).open(plan.workspace, plan.task)
        yield PoolSource(_POOL, store, task.keys, args.pool_seq, task.labels.read().deleted)
        return
    found = args.files[file]
    columns = Columns(args.text_column)
    options = Options(encoding=args.encoding, delimiter=args.delimiter, wanted=columns.named, header_is_optional=False)
    with on_disk(found) as path:
        yield FileSource(found.uri, open_kept(path, columns, options, found.uri))
