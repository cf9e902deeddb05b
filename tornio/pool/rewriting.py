"""Rewrite stored Parquet without what belongs to deleted records. Pure functions; rows keep their positions."""

from __future__ import annotations

from collections.abc import Callable, Collection
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tornio.pool.blank import DIGEST, blanked, digest_of
from tornio.records import text_digest

Change = Callable[[pa.Table], pa.Table]
"""Returns the changed table, or the same one if there is nothing to change."""


def rewritten(body: bytes, change: Change, notes: dict[bytes, bytes] | None = None) -> bytes | None:
    """Return Parquet bytes after the change, or None if it changes nothing.

    The footer keeps what it has, with ``notes`` and a new token of the writer: see ``ObjectStore``. So do columns that
    a later release has added.
    """
    table = pq.ParquetFile(pa.BufferReader(body)).read(use_threads=False)
    changed = change(table)
    if changed is table:
        return None
    footer = {**(table.schema.metadata or {}), **(notes or {}), b"writer": uuid4().hex.encode()}
    out = pa.BufferOutputStream()
    pq.write_table(changed.replace_schema_metadata(footer), out, compression="zstd")
    return bytes(out.getvalue())


def purged_part(body: bytes, record_ids: Collection[str]) -> bytes | None:
    """Return a part of the pool without the texts of these records; None if it has none of them.

    The footer keeps the digest of the first bytes, by which the caches of the part are named.
    """
    return rewritten(body, lambda table: blanked(table, record_ids), {DIGEST: digest_of(body).encode()})


def without_numbers(name: str, empty: float, record_ids: Collection[str]) -> Change:
    """Return a change that sets the lists of the column ``name`` to ``empty`` in the rows of these records."""
    ids = pa.array(sorted(record_ids), pa.string())

    def change(table: pa.Table) -> pa.Table:
        return _filled(table, name, empty, np.asarray(pc.is_in(table["record_id"], value_set=ids)))

    return change


def without_rows(name: str, rows: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Change:
    """Return a change that sets the lists of the column ``name`` to zeros in these rows, bool [n]."""
    return lambda table: _filled(table, name, 0.0, rows)


def without_texts(digests: Collection[str]) -> Change:
    """Return a change that empties the column ``text`` where the text has one of these digests."""

    def change(table: pa.Table) -> pa.Table:
        rows = rows_with(table, digests)
        if not rows.any():
            return table
        place = table.schema.get_field_index("text")
        column = pc.if_else(pa.array(rows), pa.scalar("", pa.string()), table["text"])
        return table.set_column(place, table.schema.field(place), column)

    return change


def without_views(digests: Collection[str]) -> Change:
    """Return a change that drops the rows of ``schemas.tables.WRITTEN_VIEWS`` whose text has one of these digests."""

    def change(table: pa.Table) -> pa.Table:
        rows = rows_with(table, digests)
        return table.filter(pa.array(~rows)) if rows.any() else table

    return change


def rows_with(table: pa.Table, digests: Collection[str]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return bool [n]: whether the text of each row has one of these digests."""
    return np.array([bool(text) and text_digest(text) in digests for text in table["text"].to_pylist()], dtype=bool)


def _filled(table: pa.Table, name: str, empty: float, rows: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> pa.Table:
    column = table[name].combine_chunks()
    if not rows.any() or not len(table):
        return table
    flat = column.flatten().to_numpy(zero_copy_only=False).reshape(len(table), -1).copy()
    if np.array_equal(flat[rows], np.full_like(flat[rows], empty), equal_nan=True):
        return table
    flat[rows] = empty
    place = table.schema.get_field_index(name)
    width = flat.shape[1]
    offsets = pa.array(np.arange(len(table) + 1, dtype=np.int32) * np.int32(width))
    values = pa.ListArray.from_arrays(offsets, pa.array(flat.reshape(-1), column.type.value_type))
    return table.set_column(place, table.schema.field(place), values.cast(column.type))
