"""The Parquet formats: pool, label log, embeddings. The schema number stands in the file's footer."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from tornio.errors import IntegrityError, SchemaTooNew

_KEY = b"tornio"


@dataclass(frozen=True)
class Table:
    """One Parquet format: its name, the number that this release writes, its columns."""

    format: str
    number: int
    columns: pa.Schema

    def encode(self, table: pa.Table, notes: Mapping[str, str] | None = None) -> bytes:
        """Parquet bytes (zstd) of a table that has these columns; ``notes`` go to the footer."""
        table = table.select(self.columns.names).cast(self.columns)
        footer = {_KEY: f"{self.format}/{self.number}".encode()}
        footer |= {key.encode(): value.encode() for key, value in (notes or {}).items()}
        out = io.BytesIO()
        pq.write_table(table.replace_schema_metadata(footer), out, compression="zstd")
        return out.getvalue()

    def decode(self, body: bytes, where: str = "table") -> pa.Table:
        """Read Parquet bytes of this format.

        Raises IntegrityError for bytes that are no such table, SchemaTooNew for those of a later release.
        Columns that a later release added are kept.
        """
        try:
            table = pq.read_table(io.BytesIO(body))
        except (pa.ArrowInvalid, OSError) as error:
            raise IntegrityError(f"{where} is not Parquet ({error}): restore it from a backup") from error
        stamp = (table.schema.metadata or {}).get(_KEY, b"").decode()
        name, _, number = stamp.partition("/")
        if name != self.format or not number.isdigit():
            raise IntegrityError(f"{where} should be a {self.format!r} table, found {stamp or 'no stamp'!r}")
        if int(number) > self.number + 1:
            raise SchemaTooNew(
                f"{where} has schema {number}, this release reads up to {self.number + 1}: upgrade Tornio first"
            )
        missing = [column for column in self.columns.names if column not in table.column_names]
        if missing:
            raise IntegrityError(f"{where} lacks the columns {missing}: restore it from a backup")
        return table


_TIME = pa.timestamp("us", tz="UTC")

POOL = Table(
    "pool",
    1,
    pa.schema(
        [
            pa.field("record_id", pa.string(), nullable=False),
            pa.field("text", pa.string(), nullable=False),
            pa.field("text_digest", pa.string(), nullable=False),  # of the normalised text: who is held out
            pa.field("metadata", pa.string(), nullable=False),  # a JSON object
        ]
    ),
)
"""``pool/{seq}.parquet``: append-only."""

LABELS = Table(
    "labels",
    1,
    pa.schema(
        [
            pa.field("event", pa.string(), nullable=False),
            pa.field("record_id", pa.string(), nullable=False),
            pa.field("labels", pa.list_(pa.string()), nullable=False),
            pa.field("label_set_rev", pa.int32(), nullable=False),
            pa.field("source", pa.string(), nullable=False),
            pa.field("annotator", pa.string()),
            pa.field("response_id", pa.string()),
            pa.field("response_updated_at", _TIME),
            pa.field("dataset", pa.string()),
            pa.field("batch_id", pa.string()),
            pa.field("purpose", pa.string()),
            pa.field("score", pa.float32()),
            pa.field("model_version", pa.string()),
        ]
    ),
)
"""``labels/{seq}.parquet``: the append-only label log; one file an append."""

LABELS_COMPACT = Table(
    "labels-compact",
    1,
    LABELS.columns.insert(0, pa.field("seq", pa.int64(), nullable=False)),
)
"""``labels/compact/{seq}.parquet``: all events up to and with ``seq``, each with its own."""

EMBEDDINGS = Table(
    "embeddings",
    1,
    pa.schema(
        [
            pa.field("record_id", pa.string(), nullable=False),
            pa.field("embedding", pa.list_(pa.float32()), nullable=False),
            pa.field("truncated", pa.bool_(), nullable=False),
        ]
    ),
)
"""``embeddings/...parquet``: a cache, one file for each pool file; may be deleted at any time."""
