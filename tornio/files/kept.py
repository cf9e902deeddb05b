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
class KeptRow:
    """A row of a file. ``values``: of the columns that are kept. ``problem``: why the text cannot be used, if so."""

    line: int
    values: Mapping[str, Any]
    text: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class KeptFile:
    """The rows of a file whose texts can be used. ``columns``: those that are kept; ``text``: the one of the texts."""

    reader: Reader
    text: str
    columns: tuple[str, ...]

    def texts(self) -> Iterator[str]:
        """Yield the text of each row. Formats that store columns apart read this column alone."""
        return (row.text for row in self.every(texts_only=True) if row.problem is None)

    def rows(self, skipped: SkippedRows | None = None) -> Iterator[Mapping[str, Any]]:
        """Yield each row, with the columns that it has. ``skipped`` gets the rows that are left out."""
        for row in self.every():
            if row.problem is None:
                yield row.values
            elif skipped is not None:
                skipped.add(Skipped(row.line, row.problem))

    def every(self, *, texts_only: bool = False) -> Iterator[KeptRow]:
        """Yield each row, those that cannot be used, too. ``texts_only``: without values, which may be faster."""
        for row in self.reader.read((self.text,) if texts_only and self.text else ()):
            try:
                if isinstance(row.values, str):
                    raise Skip(row.values)
                text = text_of(row.values, self.text)
                if not has_visible(text):
                    raise Skip("the text has no visible character")
            except Skip as reason:
                yield KeptRow(row.line, {}, "", str(reason))
            else:
                yield KeptRow(row.line, {} if texts_only else self._kept(row.values, text), text)

    def types(self) -> Mapping[str, Any]:
        """Return the pyarrow type of each column, as ``survey`` does. JSON is read as a whole for it."""
        kinds: dict[str, set[str]] = {}
        for row in self.rows() if self.untyped else ():
            note_kinds(row, kinds)
        return self.types_with(kinds)

    def types_with(self, kinds: Mapping[str, set[str]]) -> Mapping[str, Any]:
        """Return the pyarrow types of columns that have values of these kinds, or those that the file states.

        Raises InvalidFile for a type that cannot be written again.
        """
        schema = self.reader.schema
        types = types_of(kinds, self.columns)
        if schema is not None:
            types = {name: schema.field(name).type for name in self.columns}
        check_types(types)
        return types

    @property
    def untyped(self) -> bool:
        """Whether the types follow from the values, as in JSON; in CSV, everything is text."""
        return self.reader.more_columns is not None

    def _kept(self, values: Mapping[str, Any], text: str) -> Mapping[str, Any]:
        if self.reader.columns is None:
            return {_LINE: text}
        return {name: values[name] for name in self.columns if name in values}


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
    rows, skipped = 0, SkippedRows()
    kinds: dict[str, set[str]] = {}
    for row in file.rows(skipped):
        rows += 1
        if typed and file.untyped:
            note_kinds(row, kinds)
    if not rows:
        first = skipped.first[0] if skipped.first else None
        reason = f"; line {first.line}: {first.reason}" if first else ": it has nothing below the first line"
        raise InvalidFile(f"{where} has no row that can be used{reason}")
    return Survey(rows, skipped, file.types_with(kinds) if typed else {})


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
