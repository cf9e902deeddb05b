"""Parquet and Arrow, read in batches of rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tornio.errors import InvalidFile
from tornio.files.content import Content
from tornio.files.tables import Reader, Row, check_columns

_BATCH = 2000
"""Rows that are in memory at once."""


def read_parquet(content: Content) -> Reader:
    """Return the reader of a Parquet file. Raises InvalidFile."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InvalidFile(_no_pyarrow(content, "Parquet")) from error
    try:
        file = pq.ParquetFile(str(content.path) if content.path else pa.BufferReader(content.body))
    except (pa.ArrowException, OSError) as error:
        raise InvalidFile(f"{content.where} is not Parquet that can be read: {error}") from error
    check_columns(file.schema_arrow.names, content.where)

    def read(columns: Sequence[str]) -> Iterator[Row]:
        batches = file.iter_batches(_BATCH, columns=list(columns) or None, use_threads=False)
        return _rows(batches, content.where)

    return Reader(tuple(file.schema_arrow.names), "Parquet", read, lambda label: _class_names(file.schema_arrow, label))


def read_arrow(content: Content) -> Reader:
    """Return the reader of an Arrow file (Feather), or of an Arrow stream, which ``datasets`` writes.

    Raises InvalidFile.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise InvalidFile(_no_pyarrow(content, "Arrow")) from error
    schema, _ = _open_arrow(content)
    check_columns(schema.names, content.where)

    def read(columns: Sequence[str]) -> Iterator[Row]:
        _, batches = _open_arrow(content)
        return _rows((batch.select(list(columns)) if columns else batch for batch in batches), content.where)

    return Reader(tuple(schema.names), "Arrow", read, lambda label: _class_names(schema, label))


def names_of_feature(feature: Any) -> tuple[str, ...] | None:
    """The names of a feature of ``datasets`` that is a ClassLabel or a list of them. None: it is neither."""
    if isinstance(feature, list):
        feature = feature[0] if feature else None
    if isinstance(feature, dict) and feature.get("_type") in ("Sequence", "List", "LargeList"):
        feature = feature.get("feature")
    if isinstance(feature, dict) and feature.get("_type") == "ClassLabel":
        return tuple(feature["names"])
    return None


def _no_pyarrow(content: Content, format: str) -> str:
    return f"{content.where} is {format}, which needs pyarrow: pip install pyarrow; or give CSV or JSON lines"


def _open_arrow(content: Content) -> tuple[Any, Iterator[Any]]:
    """The schema and the batches of either layout. Raises InvalidFile."""
    import pyarrow as pa

    source = pa.memory_map(str(content.path)) if content.path else pa.BufferReader(content.body)
    try:
        file = pa.ipc.open_file(source)
        return file.schema, (file.get_batch(n) for n in range(file.num_record_batches))
    except (pa.ArrowException, OSError):
        try:
            source.seek(0)
            stream = pa.ipc.open_stream(source)
            return stream.schema, iter(stream)
        except (pa.ArrowException, OSError) as error:
            raise InvalidFile(f"{content.where} is not Arrow that can be read: {error}") from error


def _rows(batches: Iterator[Any], where: str) -> Iterator[Row]:
    import pyarrow as pa

    line = 0
    try:
        for batch in batches:
            for start in range(0, len(batch), _BATCH):
                for values in batch.slice(start, _BATCH).to_pylist():
                    line += 1
                    yield Row(line, values)
    except (pa.ArrowException, OSError, SystemError, UnicodeDecodeError) as error:
        raise InvalidFile(f"{where} is damaged after row {line:,}: {error}") from error


def _class_names(schema: Any, column: str) -> tuple[str, ...] | None:
    """From the note that ``datasets`` writes into the schemas of its files."""
    note = (schema.metadata or {}).get(b"huggingface")
    if note is None:
        return None
    features: Mapping[str, Any] = json.loads(note).get("info", {}).get("features") or {}
    return names_of_feature(features.get(column))
