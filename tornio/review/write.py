"""Write a corrected set to a file, part by part. The file becomes visible only when complete."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tornio.errors import InvalidFile
from tornio.files.spreadsheets import write_csv
from tornio.files.whole import writing

Write = Callable[[Iterable[pa.Table], pa.Schema], int]
"""Writes the tables and returns their number of rows."""


def writer_for(path: Path, *, escape: bool = True) -> Write:
    """Return the writer for this path, by its extension: .parquet, .jsonl or .csv. Raises InvalidFile.

    ``escape``: make cells of CSV harmless that a spreadsheet would take for formulas.
    """

    def _csv(tables: Iterable[pa.Table], schema: pa.Schema, path: Path) -> int:
        return write_csv(path, schema.names, (list(row.values()) for row in _rows(tables)), escape=escape)

    writers = {".parquet": write_parquet, ".jsonl": _json_lines, ".csv": _csv}
    write = writers.get(path.suffix.lower())
    if write is None:
        raise InvalidFile(
            f"{path}: the extension {path.suffix!r} is not a known format. Use {', '.join(writers)}, a name without "
            "extension for a folder of `datasets`, or hub:NAME."
        )

    def whole(tables: Iterable[pa.Table], schema: pa.Schema) -> int:
        with writing(path) as part:
            return write(tables, schema, part)

    return whole


def write_parquet(tables: Iterable[pa.Table], schema: pa.Schema, path: Path | BinaryIO) -> int:
    """Write the tables, one row group each, and return their number of rows."""
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as out:
        for table in tables:
            out.write_table(table)
            rows += len(table)
    return rows


def _json_lines(tables: Iterable[pa.Table], schema: pa.Schema, path: Path) -> int:
    rows = 0
    with path.open("w", encoding="utf-8") as out:
        for row in _rows(tables):
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            rows += 1
    return rows


def _rows(tables: Iterable[pa.Table]) -> Iterator[dict[str, Any]]:
    for table in tables:
        for row in table.to_pylist():
            yield {**row, "when": row["when"] and row["when"].isoformat()}
