"""The pool as of one sequence number."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tornio.errors import NotFound
from tornio.records import Record


@dataclass(frozen=True, eq=False)
class PoolPart:
    """One file of a pool. ``digest``: SHA-256 of the bytes that it was first written with, which a purge keeps.

    ``table``: see ``schemas.tables.POOL``. Deleted records have a row without text, so that rows keep their positions.
    """

    digest: str
    table: pa.Table

    @property
    def record_ids(self) -> list[str]:
        return list[str](self.table["record_id"].to_pylist())

    @property
    def texts(self) -> list[str]:
        return list[str](self.table["text"].to_pylist())


class Strings(Sequence[str]):
    """A column of strings that stays in Arrow's memory and reads like a list."""

    def __init__(self, columns: Iterable[pa.ChunkedArray]) -> None:
        self._chunks = pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string())

    def __len__(self) -> int:
        return len(self._chunks)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            return [self[i] for i in range(start, stop, step)]
        return str(self._chunks[int(index)].as_py())

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(chunk.to_pylist() for chunk in self._chunks.chunks)


@dataclass(frozen=True, eq=False)
class PoolView:
    """The records of parts 1 to ``seq``. A record's row is its position in the pool, the same in every view."""

    seq: int
    parts: tuple[PoolPart, ...]
    _rows: Mapping[str, int] = field(repr=False)
    """Rows of the whole pool, including later parts."""

    def __len__(self) -> int:
        return len(self.record_ids)

    def __contains__(self, record_id: object) -> bool:
        return isinstance(record_id, str) and self.row(record_id) is not None

    @cached_property
    def record_ids(self) -> list[str]:
        return [record_id for part in self.parts for record_id in part.record_ids]

    @cached_property
    def texts(self) -> Strings:
        return Strings(part.table["text"] for part in self.parts)

    @cached_property
    def text_digests(self) -> Strings:
        """``records.text_digest`` of each text; equal digests mean that two texts count as the same."""
        return Strings(part.table["text_digest"] for part in self.parts)

    def row(self, record_id: str) -> int | None:
        """Return the row of a record, or None if this view does not have it."""
        row = self._rows.get(record_id)
        return row if row is not None and row < len(self) else None

    def rows_of(self, record_ids: Iterable[str]) -> NDArray[np.int64]:
        """Return the rows of these records, int64 [n]. Raises NotFound for a record that this view does not have."""
        rows = []
        for record_id in record_ids:
            if (row := self.row(record_id)) is None:
                raise NotFound(f"The pool has no record {record_id!r} up to part {self.seq}. Add it first.")
            rows.append(row)
        return np.array(rows, dtype=np.int64)

    def record(self, record_id: str) -> Record:
        """Return the record with its metadata. Raises NotFound."""
        row = int(self.rows_of([record_id])[0])
        for part in self.parts:
            if row < len(part.table):
                return Record(
                    record_id, part.table["text"][row].as_py(), json.loads(part.table["metadata"][row].as_py())
                )
            row -= len(part.table)
        raise AssertionError("row after the last part")  # rows_of raises before
