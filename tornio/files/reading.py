"""Open a data file of any format and size. Every command reads through this one function, so that all see one file."""

from __future__ import annotations

from pathlib import Path

from tornio.files.columnar import named_beside, read_arrow, read_parquet
from tornio.files.content import Content, check_not_empty, content_of, first_character
from tornio.files.delimited import read_delimited, read_plain
from tornio.files.objects import read_json, read_json_lines
from tornio.files.tables import BY_SUFFIX, Format, Options, Reader

_DEFAULTS = Options()


def open_data(path: str | Path, options: Options = _DEFAULTS, where: str = "") -> Reader:
    """Return the reader of a file, or of standard input for '-'.

    ``where``: the name that errors use for it. Raises InvalidFile, also later, while the rows are read.
    """
    content = content_of(path, where)
    check_not_empty(content)
    format = options.format or _guess(content, options.encoding)
    if format is Format.PARQUET:
        return named_beside(read_parquet(content), content)
    if format is Format.ARROW:
        return named_beside(read_arrow(content), content)
    if format is Format.JSON:
        return named_beside(read_json(content, options), content)
    if format is Format.JSONL:
        return named_beside(read_json_lines(content, options), content)
    if format is Format.LINES or (not options.header and not options.wanted):
        return read_plain(content, options)
    return named_beside(read_delimited(content, options, "\t" if format is Format.TSV else None), content)


def _guess(content: Content, encoding: str | None) -> Format:
    """The format by the first bytes or the name, else by the first character."""
    head = content.head()
    if head.startswith(b"PAR1"):
        return Format.PARQUET
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):  # a file, or the stream that ``datasets`` writes
        return Format.ARROW
    if named := BY_SUFFIX.get(content.suffix):
        return named
    return {"{": Format.JSONL, "[": Format.JSON}.get(first_character(content, encoding), Format.CSV)
