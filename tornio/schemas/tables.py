"""The Parquet formats: pool, label log, embeddings. The schema number stands in the file's footer."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tornio.arrays import FloatMatrix
from tornio.errors import IntegrityError, SchemaTooNew

_KEY = b"tornio"


@dataclass(frozen=True)
class Table:
    """One Parquet format: its name, the number that this release writes, its columns."""

    format: str
    number: int
    columns: pa.Schema

    def encode(self, table: pa.Table, notes: Mapping[str, str] | None = None) -> bytes:
        """Parquet bytes (zstd) of a table with at least these columns; ``notes`` go to the footer.

        Columns of a later release, and its number, stay in a table that ``decode`` gave.
        """
        extra = [name for name in table.column_names if name not in self.columns.names]
        known = table.select(self.columns.names).cast(self.columns)
        for name in extra:
            known = known.append_column(table.schema.field(name), table.column(name))
        number = max(self.number, _number(table.schema, self.format) or 0)
        footer = {_KEY: f"{self.format}/{number}".encode()}
        footer |= {key.encode(): value.encode() for key, value in (notes or {}).items()}
        out = io.BytesIO()
        pq.write_table(known.replace_schema_metadata(footer), out, compression="zstd")
        return out.getvalue()

    def decode(self, body: bytes, where: str = "table", columns: Collection[str] | None = None) -> pa.Table:
        """Read Parquet bytes of this format, or these columns of it; those that an older release did not have are null.

        Raises IntegrityError for bytes that are no such table, SchemaTooNew for those of a later release.
        Columns that a later release added are kept.
        """
        try:
            # Handing small columns to threads and back costs more than reading them.
            table = pq.ParquetFile(pa.BufferReader(body)).read(
                None if columns is None else list(columns), use_threads=False
            )
        except (pa.ArrowInvalid, OSError) as error:
            raise IntegrityError(f"{where} is not Parquet ({error}): restore it from a backup") from error
        number = _number(table.schema, self.format)
        if number is None:
            raise IntegrityError(f"{where} should be a {self.format!r} table, and is not stamped as one")
        if number > self.number + 1:
            raise SchemaTooNew(
                f"{where} has schema {number}, this release reads up to {self.number + 1}: upgrade Tornio first"
            )
        wanted = [field for field in self.columns if columns is None or field.name in columns]
        for field in wanted:
            if field.name not in table.column_names and field.nullable and number < self.number:
                table = table.append_column(field, pa.nulls(len(table), field.type))
        missing = [field.name for field in wanted if field.name not in table.column_names]
        if missing:
            raise IntegrityError(f"{where} lacks the columns {missing}: restore it from a backup")
        return table


def _number(schema: pa.Schema, name: str) -> int | None:
    """The schema number in a footer's stamp, or None where the stamp is missing or another format's."""
    stamp = (schema.metadata or {}).get(_KEY, b"").decode()
    found, _, number = stamp.partition("/")
    return int(number) if found == name and number.isdigit() else None


def list_column(matrix: FloatMatrix) -> pa.ListArray:
    """Return the rows of a matrix, float32 [n, width], as a column of lists. The width may be 0, and so may n."""
    rows, width = matrix.shape
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * np.int32(width))
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(matrix).reshape(-1)))


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
            pa.field("added_at", _TIME),  # orders nothing
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
            pa.field("origin", pa.string()),  # of an event without a response: makes its replay harmless
            pa.field("recorded_at", _TIME),  # our clock: orders nothing
        ]
    ),
)
"""``labels/{seq}.parquet``: the append-only label log; one file an append."""

LABELS_COMPACT = Table(
    "labels-compact",
    1,
    LABELS.columns.insert(0, pa.field("seq", pa.int64(), nullable=False)),
)
"""``label-snapshots/{seq}.parquet``: all events up to and with ``seq``, each with its own."""

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

WRITTEN_VIEWS = Table(
    "written-views",
    1,
    pa.schema(
        [
            pa.field("text", pa.string(), nullable=False),
            pa.field("views", pa.list_(pa.string()), nullable=False),
        ]
    ),
)
"""``written-views/{purpose}/{part}.parquet``: texts that an augmentation has written as views of others, none where it
wrote nothing. It is a cache and may be deleted at any time. ``purpose`` is a digest of the augmentation, its models and
its settings; ``part`` is one of the texts."""

SOFT_LABELS = Table(
    "soft-labels",
    1,
    pa.schema(
        [
            pa.field("record_id", pa.string(), nullable=False),
            pa.field("probabilities", pa.list_(pa.float32()), nullable=False),  # in the order of the footer's labels
        ]
    ),
)
"""``soft-labels/{digest}/{part}.parquet``: a teacher's probability of every label, for each record of one part of the
pool; NaN where the teacher gave no usable answer. The footer has ``labels``, a JSON list in the order of the
probabilities, and ``teacher``, its name. It is a cache and may be deleted at any time. ``digest`` is of the teacher,
the labels and the templates; ``part`` is the digest of the part of the pool."""

AUTO_LABELS = Table(
    "auto-labels",
    1,
    pa.schema(
        [
            pa.field("record_id", pa.string(), nullable=False),
            pa.field("label", pa.string(), nullable=False),
            pa.field("probability", pa.float32(), nullable=False),
        ]
    ),
)
"""``runs/{run}/labels.parquet``: the records that a version labels, in the order of the pool."""

SCORE_INPUT = Table(
    "score-input-part",
    1,
    pa.schema(
        [
            pa.field("row", pa.int64(), nullable=False),  # place in the whole input, rejected rows counted
            pa.field("record_id", pa.string(), nullable=False),
            pa.field("text", pa.string(), nullable=False),
            pa.field("given", pa.list_(pa.string()), nullable=False),
        ]
    ),
)
"""``runs/{run}/input/{part}.parquet``: the rows of a part, before they are scored."""

REJECTED = Table(
    "rejected",
    1,
    pa.schema(
        [
            pa.field("row", pa.int64(), nullable=False),
            pa.field("file", pa.string(), nullable=False),
            pa.field("line", pa.int64(), nullable=False),
            pa.field("reason", pa.string(), nullable=False),
        ]
    ),
)
"""``runs/{run}/rejected/{part}.parquet``: rows that could not be used, and why."""


COMPARISON = Table(
    "comparison",
    1,
    pa.schema(
        [
            pa.field("contender", pa.string(), nullable=False),
            pa.field("method", pa.string()),
            pa.field("kind", pa.string()),
            pa.field("encoder", pa.string()),
            pa.field("baseline", pa.string()),
            pa.field("size", pa.int64(), nullable=False),
            pa.field("seed", pa.int64(), nullable=False),
            pa.field("texts", pa.int64(), nullable=False),
            pa.field("judged", pa.int64(), nullable=False),
            pa.field("micro_f1", pa.float64()),
            pa.field("macro_f1", pa.float64()),
            pa.field("seconds", pa.float64(), nullable=False),
            pa.field("error", pa.string()),
        ]
    ),
)
"""``runs/{run}/results.parquet``: one row for each training of a comparison. ``size`` 0 means without labels."""


SIMULATION = Table(
    "simulation",
    1,
    pa.schema(
        [
            pa.field("arm", pa.string(), nullable=False),
            pa.field("strategy", pa.string(), nullable=False),
            pa.field("cold_start", pa.string(), nullable=False),
            pa.field("kind", pa.string(), nullable=False),
            pa.field("batch_size", pa.int64(), nullable=False),
            pa.field("seed", pa.int64(), nullable=False),
            pa.field("labels", pa.int64(), nullable=False),
            pa.field("micro_f1", pa.float64(), nullable=False),
            pa.field("macro_f1", pa.float64(), nullable=False),
        ]
    ),
)
"""``runs/{run}/results.parquet``: one row for each replay of a simulation and number of labels."""


def scores_table(labels: int) -> Table:
    """``runs/{run}/scores/{part}.parquet``, for so many labels. All measures are of ``tornio.scoring``.

    A row is ``unjudged`` if the models of a cross-validation have seen no other text with its label. Schema 1 has no
    such column, and no row of it is.
    """
    per_label = pa.list_(pa.float32(), labels)
    return Table(
        "scores",
        2,
        pa.schema(
            [
                *SCORE_INPUT.columns,
                pa.field("predicted", pa.list_(pa.string()), nullable=False),
                pa.field("loss", pa.float32(), nullable=False),
                pa.field("given_probability", pa.float32(), nullable=False),
                pa.field("margin", pa.float32(), nullable=False),
                pa.field("entropy", pa.float32(), nullable=False),
                pa.field("suspicion", pa.float32(), nullable=False),  # what the rows are best sorted by
                pa.field("label_losses", per_label),  # several labels allowed: a loss for each
                pa.field("probabilities", per_label, nullable=False),
                pa.field("truncated", pa.bool_(), nullable=False),
                pa.field("model", pa.string(), nullable=False),
                pa.field("unjudged", pa.bool_()),  # no other text has the label, so the loss says nothing
            ]
        ),
    )


def predictions_table(labels: int) -> Table:
    """``runs/{run}/predictions/{part}.parquet``, for so many labels: what the model says of each row of a part."""
    return Table(
        "predictions",
        1,
        pa.schema(
            [
                pa.field("row", pa.int64(), nullable=False),  # place in the whole input, rejected rows counted
                pa.field("labels", pa.list_(pa.string()), nullable=False),
                pa.field("probabilities", pa.list_(pa.float32(), labels), nullable=False),
                pa.field("truncated", pa.bool_(), nullable=False),
            ]
        ),
    )
