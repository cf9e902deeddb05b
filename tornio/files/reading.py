"""Read a data file: row by row, or whole."""

from __future__ import annotations

from pathlib import Path

from tornio.errors import InvalidFile
from tornio.files.columnar import read_arrow, read_parquet
from tornio.files.content import Content, check_not_empty, content_of
from tornio.files.delimited import read_delimited, read_plain
from tornio.files.objects import read_json, read_json_lines
from tornio.files.tables import BY_SUFFIX, Format, Options, Reader, Table

_DEFAULTS = Options()


def load(path: str, options: Options = _DEFAULTS, where: str = "") -> Table:
    """Read a whole file, or standard input for '-'. ``where``: the name that errors use for it. Raises InvalidFile."""
    content = content_of(path, where)
    check_not_empty(content)
    reader = _reader(content, options, options.format or _guess(content))
    rows = list(reader.read(()))
    if reader.columns is None:
        return Table(None, rows, reader.what)
    columns = dict.fromkeys(reader.columns)
    for row in rows:  # a later object may have keys that the first ones lack
        if isinstance(row.values, dict):
            columns.update(dict.fromkeys(row.values))
    return Table(tuple(columns), rows, reader.what)


def open_reader(path: Path, options: Options, where: str) -> Reader:
    """Return the reader of a file of any size, whose name tells its format. Raises InvalidFile, also later."""
    content = content_of(path, where)
    format = options.format or BY_SUFFIX.get(content.suffix)
    if format is None:
        raise InvalidFile(
            f"{where}: the ending {content.suffix!r} says no format. Convert the file to one of {', '.join(BY_SUFFIX)}"
        )
    if format not in (Format.PARQUET, Format.ARROW):
        check_not_empty(content)
    return _reader(content, options, format)


def _reader(content: Content, options: Options, format: Format) -> Reader:
    if format is Format.PARQUET:
        return read_parquet(content)
    if format is Format.ARROW:
        return read_arrow(content)
    if format is Format.JSON:
        return read_json(content, options)
    if format is Format.JSONL:
        return read_json_lines(content, options)
    if format is Format.LINES or (not options.header and not options.wanted):
        return read_plain(content, options)
    return read_delimited(content, options, "\t" if format is Format.TSV else None)


def _guess(content: Content) -> Format:
    """The format by the first bytes or the name, else by the first character."""
    head = content.head()
    if head.startswith(b"PAR1"):
        return Format.PARQUET
    if head.startswith(b"ARROW1"):
        return Format.ARROW
    if named := BY_SUFFIX.get(content.suffix):
        return named
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return {b"{": Format.JSONL, b"[": Format.JSON}.get(start, Format.CSV)
