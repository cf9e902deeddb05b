"""What a data file holds: columns, and rows with the line on which each begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tornio.errors import InvalidFile


class Format(StrEnum):
    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    JSON = "json"
    PARQUET = "parquet"
    ARROW = "arrow"
    LINES = "lines"
    """One text per line."""


BY_SUFFIX = {
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
    ".csv": Format.CSV,
    ".tsv": Format.TSV,
    ".tab": Format.TSV,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".arrow": Format.ARROW,
    ".feather": Format.ARROW,
    ".json": Format.JSON,
    ".txt": Format.LINES,
}


@dataclass(frozen=True, slots=True)
class Options:
    """How to read a file where the file itself does not tell. ``header``: the first row names the columns."""

    format: Format | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header: bool = True
    wanted: tuple[str, ...] = ()
    """Columns that a user named. The delimiter is the one that results in these columns."""
    header_is_optional: bool = True
    """Whether the user can set ``header``. If so, error messages suggest --no-header."""


@dataclass(frozen=True, slots=True)
class Row:
    """``values`` by column, or the reason why the row cannot be used."""

    line: int
    values: dict[str, Any] | str


def no_class_names(_column: str) -> tuple[str, ...] | None:
    """Return None: the file does not name the classes of any column."""
    return None


@dataclass(frozen=True, slots=True)
class Reader:
    """A file of any size, read row by row: only a few thousand rows are in memory at once.

    ``read(columns)`` yields the rows in the order of the file, each time from the first row. Formats that store columns
    apart then read only these columns; an empty sequence means all. It raises InvalidFile for a damaged file.
    """

    columns: tuple[str, ...] | None
    """None means that each line of the file is a text. JSON: the keys of the first 200 objects."""
    what: str
    """The format of the file in words."""
    read: Callable[[Sequence[str]], Iterator[Row]]
    class_names: Callable[[str], tuple[str, ...] | None] = no_class_names
    """Return the names that the numbers of a ClassLabel column stand for. None: it is not a ClassLabel column."""
    more_columns: Callable[[], tuple[str, ...]] | None = None
    """Reads the whole file for columns that ``columns`` may lack. None: it lacks none."""

    schema: Any = None
    """The pyarrow schema, of formats whose columns have types."""

    def every_column(self) -> tuple[str, ...] | None:
        """Return the columns that any row has."""
        return self.columns if self.more_columns is None else self.more_columns()


def check_columns(names: Sequence[str], where: str) -> None:
    """Raises InvalidFile where two columns have the same name."""
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise InvalidFile(f"{where}: the columns {twice} appear twice. Rename one of each")
