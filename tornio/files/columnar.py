"""Parquet and Arrow, read in batches of rows; and the names of classes that ``datasets`` writes beside numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tornio.errors import InvalidFile
from tornio.files.content import Content
from tornio.files.tables import Reader, Row, check_columns

_BATCH = 2000
"""Rows that are in memory at once."""


def read_parquet(content: Content) -> Reader:
    """Return the reader of a Parquet file. Raises InvalidFile."""
    with _readable(content, "Parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        source = str(content.path) if content.path else pa.BufferReader(content.body)
        file = pq.ParquetFile(source, page_checksum_verification=True)
        schema = file.schema_arrow
        names = tuple(schema.names)
    check_columns(names, content.where)

    def read(columns: Sequence[str]) -> Iterator[Row]:
        batches = file.iter_batches(_BATCH, columns=list(columns) or None, use_threads=False)
        return _rows(batches, content.where)

    return Reader(names, "Parquet", read, lambda label: _class_names(schema, label), schema=schema)


def read_arrow(content: Content) -> Reader:
    """Return the reader of an Arrow file (Feather), or of an Arrow stream, which ``datasets`` writes.

    Raises InvalidFile.
    """
    with _readable(content, "Arrow"):
        schema, _ = _open_arrow(content)
        names = tuple(schema.names)
    check_columns(names, content.where)

    def read(columns: Sequence[str]) -> Iterator[Row]:
        with _readable(content, "Arrow"):
            _, batches = _open_arrow(content)
        return _rows((batch.select(list(columns)) if columns else batch for batch in batches), content.where)

    return Reader(names, "Arrow", read, lambda label: _class_names(schema, label), schema=schema)


def named_beside(reader: Reader, content: Content) -> Reader:
    """Return the reader; classes that it does not name have the names of a ``dataset_info.json`` beside the file."""
    info = None if content.path is None else content.path.parent / "dataset_info.json"
    if info is None or not info.is_file():
        return reader

    def names(column: str) -> tuple[str, ...] | None:
        return reader.class_names(column) or _names_in(_parsed(info.read_bytes()), column)

    return replace(reader, class_names=names)


@contextmanager
def _readable(content: Content, format: str) -> Iterator[None]:
    """Raises InvalidFile for a file that is damaged, and where pyarrow is missing."""
    try:
        import pyarrow as pa
    except ImportError as error:
        raise InvalidFile(
            f"{content.where} is {format}, which needs pyarrow: pip install pyarrow; or give CSV or JSON lines"
        ) from error
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, SystemError, MemoryError, OverflowError) as error:
        raise InvalidFile(f"{content.where} is not {format} that can be read: {error}") from error


def _open_arrow(content: Content) -> tuple[Any, Iterator[Any]]:
    """The schema and the batches of either layout."""
    import pyarrow as pa

    source = pa.memory_map(str(content.path)) if content.path else pa.BufferReader(content.body)
    try:
        file = pa.ipc.open_file(source)
        return file.schema, (file.get_batch(n) for n in range(file.num_record_batches))
    except (pa.ArrowException, OSError):
        source.seek(0)
        stream = pa.ipc.open_stream(source)
        return stream.schema, iter(stream)


def _rows(batches: Iterator[Any], where: str) -> Iterator[Row]:
    import pyarrow as pa

    line = 0
    try:
        for batch in batches:
            batch.validate(full=True)  # a damaged offset would read memory that is not the file's
            for start in range(0, len(batch), _BATCH):
                for values in batch.slice(start, _BATCH).to_pylist():
                    line += 1
                    yield Row(line, values)
    except (pa.ArrowException, OSError, ValueError, SystemError, MemoryError, OverflowError) as error:
        raise InvalidFile(f"{where} is damaged after row {line:,}: {error}") from error


def _class_names(schema: Any, column: str) -> tuple[str, ...] | None:
    """From the note that ``datasets`` writes into the schemas of its files."""
    note = _parsed((schema.metadata or {}).get(b"huggingface", b""))
    return _names_in(note.get("info"), column)


def _parsed(text: bytes) -> Mapping[str, Any]:
    """The object of a JSON text. Empty for a text that is none: then no classes are named, and the numbers stay."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _names_in(info: Any, column: str) -> tuple[str, ...] | None:
    """The names of a column that is a ClassLabel, or a list of them, in a description by ``datasets``."""
    features = info.get("features") if isinstance(info, dict) else None
    feature = features.get(column) if isinstance(features, dict) else None
    if isinstance(feature, list):
        feature = feature[0] if feature else None
    if isinstance(feature, dict) and feature.get("_type") in ("Sequence", "List", "LargeList"):
        feature = feature.get("feature")
    names = feature.get("names") if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" else None
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else None
