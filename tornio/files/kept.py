"""Read a file of any size of which all columns are kept. Only some thousand rows are in memory at once."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tornio.errors import InvalidFile
from tornio.files.cells import Skip, text_of
from tornio.files.predicted import check_types, note_kinds, types_of
from tornio.files.reading import open_data
from tornio.files.rows import Columns, Skipped, choose
from tornio.files.skipped import SkippedRows
from tornio.files.spreadsheets import ESCAPED
from tornio.files.tables import Options, Reader
from tornio.visible import has_visible

T = TypeVar("T")
_LINE = "text"
"""The column of a file that has one text per line."""
_WINDOW = 50_000
"""Rows that are in memory at once while rows are written in another order than that of the file."""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """The rows of a file whose texts can be used. ``columns``: those that are kept; ``text``: the one of the texts."""

    reader: Reader
    text: str
    columns: tuple[str, ...]

    def texts(self) -> Iterator[str]:
        """Yield the text of each row. Formats that store columns apart read this column alone."""
        for _, text in self._usable((self.text,) if self.text else (), SkippedRows()):
            yield text

    def rows(self, skipped: SkippedRows | None = None) -> Iterator[Mapping[str, Any]]:
        """Yield each row, with the columns that it has. ``skipped`` gets the rows that are left out."""
        for values, text in self._usable((), SkippedRows() if skipped is None else skipped):
            if self.reader.columns is None:
                yield {_LINE: text}
            else:
                yield {name: values[name] for name in self.columns if name in values}

    def _usable(self, columns: Sequence[str], skipped: SkippedRows) -> Iterator[tuple[Mapping[str, Any], str]]:
        for row in self.reader.read(columns):
            try:
                if isinstance(row.values, str):
                    raise Skip(row.values)
                text = text_of(row.values, self.text)
                if not has_visible(text):
                    raise Skip("the text has no visible character")
            except Skip as reason:
                skipped.add(Skipped(row.line, str(reason)))
            else:
                yield row.values, text


@dataclass(frozen=True, slots=True)
class Survey:
    """What reading a file once has shown: how many rows can be used, the others, and the columns' pyarrow types.

    ``types``: empty if they were not asked for.
    """

    rows: int
    skipped: SkippedRows
    types: Mapping[str, Any]


def open_kept(path: Path, columns: Columns, options: Options, where: str) -> KeptFile:
    """Return the file. Raises InvalidFile if no column can be the text."""
    reader = open_data(path, options, where)
    used = choose(reader, columns, where, label=False)
    names = reader.every_column()
    if names is None:
        return KeptFile(reader, used.text, (_LINE,))
    if reader.schema is None and reader.more_columns is None:  # CSV, where the reader has undone what it says
        names = tuple(name for name in names if name != ESCAPED)
    return KeptFile(reader, used.text, names)


def survey(file: KeptFile, where: str, *, typed: bool) -> Survey:
    """Read the file once, before anything is computed. ``typed``: the types of its columns are needed.

    Raises InvalidFile if no row can be used, and for columns that cannot be written with their type.
    """
    rows, skipped, types = 0, SkippedRows(), {}
    kinds: dict[str, set[str]] = {}
    untyped = typed and file.reader.more_columns is not None  # JSON; in CSV, everything is text
    for row in file.rows(skipped):
        rows += 1
        if untyped:
            note_kinds(row, kinds)
    if not rows:
        first = skipped.first[0] if skipped.first else None
        reason = f"; line {first.line}: {first.reason}" if first else ": it has nothing below the first line"
        raise InvalidFile(f"{where} has no row that can be used{reason}")
    if typed:
        schema = file.reader.schema
        types = types_of(kinds, file.columns)
        if schema is not None:
            types = {name: schema.field(name).type for name in file.columns}
        check_types(types)
    return Survey(rows, skipped, types)


def in_order_of(rows: Callable[[], Iterable[T]], keys: Sequence[float], window: int = _WINDOW) -> Iterator[T]:
    """Yield the rows by ascending key, those with equal keys in their own order.

    ``rows``: reads them from the beginning. It is called once for each ``window`` rows, so that no more are in memory.
    """
    order = array("Q", sorted(range(len(keys)), key=keys.__getitem__))
    for start in range(0, len(order), window):
        places = {number: place for place, number in enumerate(order[start : start + window])}
        held: dict[int, T] = {}
        for number, row in enumerate(rows()):
            if number in places:
                held[places[number]] = row
                if len(held) == len(places):
                    break
        for place in range(len(held)):
            yield held.pop(place)
