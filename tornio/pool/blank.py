"""Take the texts of deleted records out of a part of a pool. Pure functions; rows keep their positions."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

EMPTY = {"text": "", "text_digest": "", "metadata": "{}"}
"""What a deleted record has in these columns."""
DIGEST = b"digest"
"""Name in the footer of a purged part: the digest of the bytes that the part was first written with."""


def digest_of(body: bytes) -> str:
    """Return the name under which the caches keep what they know of this part: hex SHA-256 of its first bytes."""
    notes = pq.read_schema(pa.BufferReader(body)).metadata or {}
    kept = notes.get(DIGEST)
    return hashlib.sha256(body).hexdigest() if kept is None else str(kept.decode())


def rows_of(table: pa.Table, record_ids: Collection[str]) -> pa.ChunkedArray:
    """Return a bool for each row: whether it is one of these records and still has a text."""
    ids = pa.array(sorted(record_ids), pa.string())
    return pc.and_(pc.is_in(table["record_id"], value_set=ids), pc.not_equal(table["text"], ""))


def digests_of(table: pa.Table, record_ids: Collection[str]) -> set[str]:
    """Return the text digests of those of these records that still have a text."""
    return set(table["text_digest"].filter(rows_of(table, record_ids)).to_pylist())


def blanked(table: pa.Table, record_ids: Collection[str]) -> pa.Table:
    """Return the table of ``schemas.tables.POOL`` without the texts of these records; itself if it has none of them.

    Columns of a later release keep their values.
    """
    rows = rows_of(table, record_ids)
    if not pc.any(rows).as_py():
        return table
    for name, empty in EMPTY.items():
        place = table.schema.get_field_index(name)
        column = pc.if_else(rows, pa.scalar(empty, pa.string()), table[name])
        table = table.set_column(place, table.schema.field(place), column)
    return table
