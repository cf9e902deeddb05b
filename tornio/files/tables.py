"""Files as tables: columns, and rows with the line they begin in."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from tornio.errors import InvalidFile
from tornio.files.decode import decode

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SNIFFED_ROWS = 200


class Format(StrEnum):
    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    JSON = "json"
    PARQUET = "parquet"
    LINES = "lines"
    """One text a line."""


_BY_SUFFIX = {
    ".csv": Format.CSV,
    ".tsv": Format.TSV,
    ".tab": Format.TSV,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".json": Format.JSON,
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
    ".txt": Format.LINES,
}


@dataclass(frozen=True, slots=True)
class Options:
    """How to read a file, where it does not say so itself. ``header``: the first row names the columns."""

    format: Format | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header: bool = True
    wanted: tuple[str, ...] = ()
    """Columns that a user named: the delimiter is the one that shows them."""


@dataclass(frozen=True, slots=True)
class Row:
    """``values`` by column, or what is wrong with the row."""

    line: int
    values: dict[str, Any] | str


@dataclass(frozen=True, slots=True)
class Table:
    """``columns`` None: the lines are texts. ``what``: what the file was read as, in words."""

    columns: tuple[str, ...] | None
    rows: Sequence[Row]
    what: str


def load(path: str, options: Options = Options(), where: str = "") -> Table:
    """Read a file, or standard input for '-'. ``where``: what errors call it. Raises InvalidFile."""
    where = where or ("standard input" if path == "-" else path)
    body = _bytes(path, where)
    if not body.strip():
        raise InvalidFile(f"{where} is empty: it must hold at least one text")
    kind = options.format or _guess(path, body)
    if kind is Format.PARQUET:
        return _parquet(body, where)
    text, encoding = decode(body, where, options.encoding)
    what = f"{encoding.upper()} text"
    if kind is Format.JSON:
        return _json(text, where)
    if kind is Format.JSONL:
        return _table_of_objects(_json_lines(text), where, "JSON lines")
    if kind is Format.LINES or (not options.header and not options.wanted):
        return Table(None, [Row(n, {"": line}) for n, line in _lines(text)], f"{what}, a line each")
    return _csv(text, where, options, "\t" if kind is Format.TSV else options.delimiter)


def _bytes(path: str, where: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidFile(f"cannot read {where}: {error.strerror or error}") from error


def _guess(path: str, body: bytes) -> Format:
    if body.startswith(b"PAR1"):
        return Format.PARQUET
    if known := _BY_SUFFIX.get(Path(path).suffix.lower()):
        return known
    start = body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return {b"{": Format.JSONL, b"[": Format.JSON}.get(start, Format.CSV)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    return enumerate(io.StringIO(text, newline=None).read().removesuffix("\n").split("\n"), 1)


# CSV


def _csv(text: str, where: str, options: Options, delimiter: str | None) -> Table:
    check_delimiter(delimiter)
    if delimiter is None:
        delimiter = sniff(text, options.wanted if options.header else ())
    records = _parse(text, delimiter, where)
    if not records:
        raise InvalidFile(f"{where} has nothing but empty fields: it needs a line of column names, and texts below")
    _, first = records[0]
    if options.header:
        columns, records = tuple(name.strip() for name in first), records[1:]
    else:
        columns = tuple(str(n) for n in range(1, len(first) + 1))
    check_header(columns, where)
    rows = [Row(line, fields_of(fields, columns)) for line, fields in records]
    return Table(columns, rows, f"CSV separated by {_DELIMITERS.get(delimiter, repr(delimiter))}")


def _parse(text: str, delimiter: str, where: str) -> list[tuple[int, list[str]]]:
    """Rows that are not blank, with the line each begins in."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    begins = 1
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                rows.append((begins, fields))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise InvalidFile(
            f"{where}, line {begins}: {csv_advice(str(error))}. If the file holds one text a line, say --no-header"
        ) from error
    return rows


def check_delimiter(delimiter: str | None) -> None:
    """Raises InvalidFile for one that the csv module does not take."""
    if delimiter is not None and len(delimiter) != 1:
        raise InvalidFile(f"--delimiter {delimiter!r} must be one character")


def check_header(columns: Sequence[str], where: str) -> None:
    """Raises InvalidFile where two columns have one name."""
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise InvalidFile(f"{where}: the columns {twice} appear twice in the first line: rename one of each")


def csv_advice(error: str) -> str:
    """What the csv module's error means for whoever wrote the file."""
    if "unexpected end" in error:
        return 'a quote (") opens here and is never closed: close it, and double quotes inside a quoted text'
    if "expected after" in error:
        return 'found text after a closing quote ("): inside a quoted text each quote must be doubled ("")'
    return f"not CSV ({error})"


def fields_of(fields: list[str], columns: tuple[str, ...]) -> dict[str, Any] | str:
    """A row's fields by column, or what is wrong with it."""
    if len(fields) == len(columns):
        return dict(zip(columns, fields, strict=True))
    if len(fields) == len(columns) + 1 and not fields[-1].strip():  # a delimiter at the end of each line
        return dict(zip(columns, fields[:-1], strict=True))
    return f"{len(fields)} fields where the first line has {len(columns)}: put quotes around texts with delimiters"


def sniff(text: str, wanted: Iterable[str]) -> str:
    """The delimiter that shows the wanted columns, else the one by which most rows are as wide as the first."""
    sample = "".join(io.StringIO(text).readlines()[:_SNIFFED_ROWS])

    def score(delimiter: str) -> tuple[bool, float, int]:
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
        widths: list[int] = []
        names: list[str] = []
        try:
            for fields in reader:
                names = names or [field.strip() for field in fields]
                widths.append(len(fields))
        except csv.Error:
            return False, 0.0, 0
        regular = sum(width == widths[0] for width in widths) / len(widths) if widths and widths[0] > 1 else 0.0
        shows = bool(names) and len(names) > 1 and all(name in names for name in wanted)
        return shows and bool(wanted), regular, widths[0] if widths else 0

    return max(_DELIMITERS, key=score)


# JSON


def _json_lines(text: str) -> Iterator[Row]:
    for number, line in _lines(text):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Row(number, f"not JSON: {error}")
            continue
        yield Row(number, value if isinstance(value, dict) else "not a JSON object ({...})")


def _json(text: str, where: str) -> Table:
    """A JSON list of objects; what is called .json is often JSON lines."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return _table_of_objects(_json_lines(text), where, "JSON lines")
    if not isinstance(values, list):
        values = [values]
    rows = (Row(n, value if isinstance(value, dict) else "not a JSON object") for n, value in enumerate(values, 1))
    return _table_of_objects(rows, where, "a JSON list")


def _table_of_objects(rows: Iterable[Row], where: str, what: str) -> Table:
    rows = list(rows)
    columns: dict[str, None] = {}
    for row in rows:
        if isinstance(row.values, dict):
            columns.update(dict.fromkeys(row.values))
    if not columns:
        first = rows[0]
        raise InvalidFile(f"{where} holds no JSON object; line {first.line}: {first.values}")
    return Table(tuple(columns), rows, what)


# Parquet


def _parquet(body: bytes, where: str) -> Table:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InvalidFile(
            f"{where} is Parquet, which needs pyarrow: pip install pyarrow; or give CSV or JSON lines"
        ) from error
    try:
        table = pq.read_table(io.BytesIO(body))
    except (pa.ArrowInvalid, OSError) as error:
        raise InvalidFile(f"{where} is not Parquet that can be read: {error}") from error
    rows = [Row(n, values) for n, values in enumerate(table.to_pylist(), 1)]
    return Table(tuple(table.column_names), rows, "Parquet")
