"""Large files row by row, in their order: Parquet, Arrow, CSV, TSV, JSON lines. Memory stays flat."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tornio.errors import InvalidFile
from tornio.files.rows import Columns, Used, choose
from tornio.files.sources import names_of_feature
from tornio.files.tables import Options, Row, check_delimiter, check_header, csv_advice, fields_of, sniff

_BATCH = 2000
"""Rows that are in memory at once."""
_SAMPLE = 1 << 20
"""Bytes that the delimiter is found out from."""
_SAMPLED_OBJECTS = 200
"""JSON objects that say which columns there are: one that lacks a key must not hide it."""


@dataclass(frozen=True, slots=True)
class RowStream:
    """``rows``: in the file's order, each once. ``class_names``: the label column's numbers mean these."""

    used: Used
    rows: Iterator[Row]
    class_names: tuple[str, ...] | None = None


def stream_rows(path: Path, columns: Columns, options: Options, where: str) -> RowStream:
    """The rows of a file of any size. Raises InvalidFile, also later, from ``rows``."""
    suffix = path.suffix.lower()
    if suffix in (".parquet", ".pq"):
        return _parquet(path, columns, where)
    if suffix in (".arrow", ".feather"):
        return _arrow(path, columns, where)
    if suffix in (".jsonl", ".ndjson"):
        return _json_lines(path, columns, options, where)
    if suffix in (".csv", ".tsv", ".tab"):
        return _csv(path, columns, options, where)
    raise InvalidFile(f"{where}: the ending {suffix!r} says no format that is read in parts: convert it to Parquet")


def _needed(used: Used) -> list[str]:
    return [name for name in (used.text, used.record_id, used.label) if name]


def _parquet(path: Path, columns: Columns, where: str) -> RowStream:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InvalidFile(f"{where} is not Parquet that can be read: {error}") from error
    used = choose(file.schema_arrow.names, columns, where)
    batches = file.iter_batches(_BATCH, columns=_needed(used), use_threads=False)
    return RowStream(used, _of_batches(batches, where), _class_names(file.schema_arrow, used.label))


def _arrow(path: Path, columns: Columns, where: str) -> RowStream:
    """Arrow's two layouts: the file (Feather) and the stream, which is what ``datasets`` writes."""
    import pyarrow as pa

    source = pa.memory_map(str(path))
    try:
        reader = pa.ipc.open_file(source)
        batches: Iterator[Any] = (reader.get_batch(n) for n in range(reader.num_record_batches))
    except pa.ArrowInvalid:
        try:
            source.seek(0)
            reader = pa.ipc.open_stream(source)
            batches = iter(reader)
        except pa.ArrowInvalid as error:
            raise InvalidFile(f"{where} is not Arrow that can be read: {error}") from error
    used = choose(reader.schema.names, columns, where)
    needed = (batch.select(_needed(used)) for batch in batches)
    return RowStream(used, _of_batches(needed, where), _class_names(reader.schema, used.label))


def _of_batches(batches: Iterator[Any], where: str) -> Iterator[Row]:
    import pyarrow as pa

    line = 0
    try:
        for batch in batches:
            for start in range(0, len(batch), _BATCH):
                for values in batch.slice(start, _BATCH).to_pylist():
                    line += 1
                    yield Row(line, values)
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        raise InvalidFile(f"{where} is damaged after row {line:,}: {error}") from error


def _class_names(schema: Any, label: str | None) -> tuple[str, ...] | None:
    """From what ``datasets`` notes in the schemas of the files that it writes."""
    note = (schema.metadata or {}).get(b"huggingface")
    if note is None or label is None:
        return None
    features: Mapping[str, Any] = json.loads(note).get("info", {}).get("features") or {}
    return names_of_feature(features.get(label))


def _csv(path: Path, columns: Columns, options: Options, where: str) -> RowStream:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    check_delimiter(options.delimiter)
    encoding = options.encoding or "utf-8-sig"
    tab = path.suffix.lower() != ".csv"
    with _open(path, encoding, where) as file:
        try:
            sample = file.read(_SAMPLE)
        except UnicodeDecodeError as error:
            raise InvalidFile(_undecodable(where, error)) from error
    delimiter = options.delimiter or ("\t" if tab else sniff(sample, options.wanted))
    records = _csv_records(path, encoding, delimiter, where)
    _, first = next(records, (0, []))
    if not first:
        raise InvalidFile(f"{where} is empty: it needs a line of column names, and texts below")
    names = tuple(name.strip() for name in first)
    check_header(names, where)
    used = choose(names, columns, where)
    return RowStream(used, (Row(line, fields_of(fields, names)) for line, fields in records))


def _csv_records(path: Path, encoding: str, delimiter: str, where: str) -> Iterator[tuple[int, list[str]]]:
    begins = 1
    with _open(path, encoding, where) as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            for fields in reader:
                if any(field.strip() for field in fields):
                    yield begins, fields
                begins = reader.line_num + 1
        except csv.Error as error:
            raise InvalidFile(f"{where}, line {begins}: {csv_advice(str(error))}") from error
        except UnicodeDecodeError as error:
            raise InvalidFile(_undecodable(where, error)) from error


def _json_lines(path: Path, columns: Columns, options: Options, where: str) -> RowStream:
    encoding = options.encoding or "utf-8-sig"
    objects = (row.values for row in _json_rows(path, encoding, where) if isinstance(row.values, dict))
    names = dict.fromkeys(name for values in islice(objects, _SAMPLED_OBJECTS) for name in values)
    if not names:
        raise InvalidFile(f"{where} holds no JSON object: each line must be one")
    return RowStream(choose(tuple(names), columns, where), _json_rows(path, encoding, where))


def _json_rows(path: Path, encoding: str, where: str) -> Iterator[Row]:
    with _open(path, encoding, where) as file:
        try:
            for line, body in enumerate(file, 1):
                if body.strip():
                    yield Row(line, _json_object(body))
        except UnicodeDecodeError as error:
            raise InvalidFile(_undecodable(where, error)) from error


def _json_object(body: str) -> dict[str, Any] | str:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    return value if isinstance(value, dict) else "not a JSON object ({...})"


def _open(path: Path, encoding: str, where: str) -> Any:
    try:
        return path.open(encoding=encoding, newline="")
    except (OSError, LookupError) as error:
        raise InvalidFile(f"cannot read {where}: {error}") from error


def _undecodable(where: str, error: UnicodeDecodeError) -> str:
    return (
        f"{where} is not {error.encoding}: found byte 0x{error.object[error.start]:02x}; give the encoding that it is "
        "in with --encoding"
    )
