"""CSV and TSV, and plain texts, one per line."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from tornio.errors import InvalidFile
from tornio.files.content import Content, encoding_of, lines_of
from tornio.files.spreadsheets import ESCAPED, unescaped
from tornio.files.tables import Options, Reader, Row, check_columns

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SNIFFED_LINES = 200
"""Lines from which the delimiter is determined."""


def read_plain(content: Content, options: Options) -> Reader:
    """Return the reader of a file with one text per line."""
    encoding = encoding_of(content, options.encoding)

    def read(_columns: Sequence[str]) -> Iterator[Row]:
        return (Row(n, {"": line.rstrip("\r\n")}) for n, line in enumerate(lines_of(content, encoding), 1))

    return Reader(None, f"{encoding.upper()} text, a line each", read)


def read_delimited(content: Content, options: Options, delimiter: str | None = None) -> Reader:
    """Return the reader of a CSV. Its delimiter is the one that the user named, else ``delimiter``, else sniffed.

    Raises InvalidFile for a file that cannot be cut into rows, or whose header has a column twice.
    """
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    _check_delimiter(options.delimiter)
    encoding = encoding_of(content, options.encoding)
    delimiter = options.delimiter or delimiter
    if delimiter is None:
        sample = "".join(islice(lines_of(content, encoding), _SNIFFED_LINES))
        delimiter = _sniff(sample, options.wanted if options.header else ())

    def records() -> Iterator[tuple[int, list[str]]]:
        return _records(content, encoding, delimiter, options.header_is_optional)

    _, first = next(records(), (0, None))
    if first is None:
        raise InvalidFile(f"{content.where} has nothing but empty fields. It needs a line of column names, then texts")
    what = f"CSV separated by {_DELIMITERS.get(delimiter, repr(delimiter))}"
    columns = _columns(first, content.where) if options.header else tuple(str(n) for n in range(1, len(first) + 1))

    def read(_columns: Sequence[str]) -> Iterator[Row]:
        below = islice(records(), int(options.header), None)
        return (Row(line, _by_column(fields, columns)) for line, fields in below)

    if ESCAPED in columns:
        return Reader(columns, what, lambda names: _unescaped(read(names)))

    return Reader(columns, what, read)


def _unescaped(rows: Iterator[Row]) -> Iterator[Row]:
    for row in rows:
        yield row if isinstance(row.values, str) else Row(row.line, unescaped(row.values))


def _records(
    content: Content, encoding: str, delimiter: str, header_is_optional: bool
) -> Iterator[tuple[int, list[str]]]:
    """The fields of each row that is not blank, with the line on which it begins."""
    reader = csv.reader(lines_of(content, encoding), delimiter=delimiter, strict=True)
    begins = 1
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield begins, fields
            begins = reader.line_num + 1
    except csv.Error as error:
        hint = ". If the file holds one text per line, give --no-header" if header_is_optional else ""
        raise InvalidFile(f"{content.where}, line {begins}: {_csv_advice(str(error))}{hint}") from error


def _check_delimiter(delimiter: str | None) -> None:
    """Raises InvalidFile for a delimiter that the csv module does not accept."""
    if delimiter is not None and len(delimiter) != 1:
        raise InvalidFile(f"--delimiter {delimiter!r} must be one character")


def _columns(first: Sequence[str], where: str) -> tuple[str, ...]:
    """The names in the first row. Raises InvalidFile where two columns have the same name."""
    columns = tuple(name.strip() for name in first)
    check_columns(columns, where)
    return columns


def _csv_advice(error: str) -> str:
    """What an error of the csv module means for the author of the file."""
    if "unexpected end" in error:
        return 'a quote (") opens here and is never closed. Close it, and double the quotes inside a quoted text'
    if "expected after" in error:
        return 'found text after a closing quote ("). Inside a quoted text each quote must be doubled ("")'
    return f"not CSV ({error})"


def _by_column(fields: list[str], columns: tuple[str, ...]) -> dict[str, Any] | str:
    """The fields of a row by column, or the reason why the row cannot be used."""
    if len(fields) == len(columns):
        return dict(zip(columns, fields, strict=True))
    if len(fields) == len(columns) + 1 and not fields[-1].strip():  # a delimiter at the end of each line
        return dict(zip(columns, fields[:-1], strict=True))
    return f"{len(fields)} fields where the first line has {len(columns)}: put quotes around texts with delimiters"


def _sniff(sample: str, wanted: Iterable[str]) -> str:
    """The delimiter that results in the wanted columns, else the one by which most rows are as wide as the first."""

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
