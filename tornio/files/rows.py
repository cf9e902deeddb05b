"""Turn the rows of a file into records and labels. Rows that cannot be used are skipped, with line and reason."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from tornio.api import MAX_TEXT, LabelIn, RecordIn
from tornio.errors import InvalidFile
from tornio.files.reading import open_reader
from tornio.files.tables import Options, Row, Table
from tornio.records import MetadataValue, default_record_id

T_co = TypeVar("T_co", covariant=True)

TEXT_NAMES = ("text", "texts", "content", "message", "body", "sentence", "comment", "review")
ID_NAMES = ("record_id", "id")
LABEL_NAMES = ("label", "labels", "category", "class")
SEPARATOR = "|"
"""Separates the labels of a text that has several."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that a user named. None: the usual names. ``metadata``: columns to keep with the records."""

    text: str | None = None
    record_id: str | None = None
    label: str | None = None
    metadata: tuple[str, ...] = ()

    @property
    def named(self) -> tuple[str, ...]:
        """All columns that the user named."""
        return tuple(name for name in (self.text, self.record_id, self.label, *self.metadata) if name)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that was left out. ``line``: on which it begins in the file (in Parquet and JSON lists: the row)."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Read(Generic[T_co]):
    """The items that were read, the rows that were skipped, and what the file was read as, in words."""

    items: Sequence[T_co]
    skipped: list[Skipped]
    what: str


@dataclass(frozen=True, slots=True)
class Used:
    """The columns that are read, by their meaning."""

    text: str
    record_id: str | None
    label: str | None
    metadata: tuple[str, ...]


class Skip(Exception):
    """Leave the row out, for this reason."""


@dataclass(frozen=True, slots=True)
class RowStream:
    """The rows of a file in their order, each once, and the columns to use of them.

    ``class_names``: the names that the numbers of the label column stand for; None: it holds the labels themselves.
    """

    used: Used
    rows: Iterator[Row]
    class_names: tuple[str, ...] | None = None


def stream_rows(path: Path, columns: Columns, options: Options, where: str) -> RowStream:
    """Return the labelled rows of a file of any size. Raises InvalidFile, also later, from ``rows``."""
    reader = open_reader(path, options, where)
    used = choose(reader.columns, columns, where, header_is_optional=options.header_is_optional)
    needed = [name for name in (used.text, used.record_id, used.label) if name]
    return RowStream(used, reader.read(needed), reader.class_names(used.label) if used.label else None)


def read_records(table: Table, columns: Columns, where: str) -> Read[RecordIn]:
    """Return the texts of a table. Raises InvalidFile if no column can be the text, or if no row can be used."""
    used = choose(table.columns, columns, where, label=False)

    def make(values: Mapping[str, Any]) -> RecordIn:
        return RecordIn(
            record_id=record_id_of(values, used), text=text_of(values, used), metadata=_metadata(values, used)
        )

    return _read(table, used, where, make)


def read_labels(
    table: Table, columns: Columns, where: str, *, multi_label: bool, separator: str = SEPARATOR
) -> Read[LabelIn]:
    """Return the labelled texts of a table. With ``multi_label`` a cell holds labels with separators between them.

    Raises InvalidFile.
    """
    used = choose(table.columns, columns, where, label=True)

    def make(values: Mapping[str, Any]) -> LabelIn:
        return LabelIn(
            record_id=record_id_of(values, used),
            text=text_of(values, used),
            labels=labels_of(values.get(used.label or ""), multi_label, separator),
            metadata=_metadata(values, used),
        )

    return _read(table, used, where, make)


def _read(table: Table, used: Used, where: str, make: Any) -> Read[Any]:
    items: list[Any] = []
    skipped: list[Skipped] = []
    first: dict[str, tuple[int, str]] = {}
    for row, item in _made(table.rows, make):
        if isinstance(item, str):
            skipped.append(Skipped(row.line, item))
            continue
        key = item.record_id or default_record_id(item.text)
        if key in first:
            skipped.append(Skipped(row.line, _twice(item, *first[key])))
            continue
        first[key] = (row.line, item.text)
        items.append(item)
    if not items:
        raise InvalidFile(f"{where} has no row that can be used{_first_reason(skipped)}")
    return Read(items, skipped, table.what + _columns_used(table, used))


def _made(rows: Sequence[Row], make: Any) -> Iterator[tuple[Row, Any]]:
    for row in rows:
        if isinstance(row.values, str):
            yield row, row.values
            continue
        try:
            yield row, make(row.values)
        except Skip as reason:
            yield row, str(reason)


def _twice(item: Any, line: int, text: str) -> str:
    if item.record_id is None:
        return f"the same text as line {line}"
    return f"the id {item.record_id!r} again, " + (
        f"as in line {line}" if item.text == text else f"with another text than in line {line}: ids must be unique"
    )


def _first_reason(skipped: Sequence[Skipped]) -> str:
    return f"; line {skipped[0].line}: {skipped[0].reason}" if skipped else ": it has nothing below the first line"


def _columns_used(table: Table, used: Used) -> str:
    if table.columns is None:
        return ""
    parts = [f"text from {used.text!r}"]
    parts += [f"id from {used.record_id!r}"] if used.record_id else []
    parts += [f"label from {used.label!r}"] if used.label else []
    return ", " + ", ".join(parts)


# Which column means what


def choose(
    names: Sequence[str] | None, columns: Columns, where: str, *, label: bool = True, header_is_optional: bool = True
) -> Used:
    """Return the columns of a file to use. ``names`` None: each line is a text. ``label``: labels are needed.

    Raises InvalidFile where one is missing; ``header_is_optional``: the user can set --no-header.
    """
    if names is None:
        if label:
            raise InvalidFile(f"{where} was read as one text per line. Labels need a file with columns, such as CSV")
        return Used("", None, None, ())
    for name in columns.named:
        if name not in names:
            raise InvalidFile(f"{where} has no column {name!r}. Its columns are {_names(names)}")
    text = columns.text or _usual(names, TEXT_NAMES)
    if text is None:
        raise InvalidFile(_no_text(names, where, header_is_optional))
    label_column = (columns.label or _usual(names, LABEL_NAMES)) if label else None
    if label and label_column is None:
        raise InvalidFile(
            f"{where} has no column 'label'. Its columns are {_names(names)}. Name the label column with --label-column"
        )
    record_id = columns.record_id or _usual(names, ID_NAMES)
    return Used(text, record_id, label_column, columns.metadata)


def _usual(columns: Sequence[str], names: Sequence[str]) -> str | None:
    by_lower = {name.lower(): name for name in reversed(columns)}
    return next((by_lower[name] for name in names if name in by_lower), None)


def _no_text(columns: Sequence[str], where: str, header_is_optional: bool) -> str:
    message = f"{where} has no column 'text'; its first line says {_names(columns)}. "
    if not header_is_optional:
        return f"{message}Name the text column with --text-column"
    number = "" if len(columns) == 1 else " and --text-column with its number (1, 2, ...)"
    return (
        f"{message}If these are columns, name the one that holds the text with --text-column. If the first line is "
        f"data, give --no-header{number}"
    )


def _names(columns: Sequence[str]) -> str:
    shown = [repr(name if len(name) <= 40 else name[:37] + "...") for name in columns[:10]]
    return ", ".join(shown) + (f" and {len(columns) - 10} more" if len(columns) > 10 else "")


# Cells


def text_of(values: Mapping[str, Any], used: Used) -> str:
    """Return the text of a row. Raises Skip."""
    text = values.get(used.text)
    if text is None or (isinstance(text, str) and not text.strip()):
        raise Skip("no text")
    if not isinstance(text, str):
        raise Skip(f"the text is a {type(text).__name__}, not a string")
    if len(text) > MAX_TEXT:
        raise Skip(f"the text has {len(text):,} characters; at most {MAX_TEXT:,} are accepted: split it")
    return _unicode(text)


def record_id_of(values: Mapping[str, Any], used: Used) -> str | None:
    """Return the id of a row, if it has one. Raises Skip."""
    value = values.get(used.record_id) if used.record_id else None
    if value is None or value == "":
        return None
    if isinstance(value, bool | float | dict | list):
        raise Skip(f"the id {value!r} is neither a string nor a whole number")
    record_id = _unicode(str(value).strip())
    if not 1 <= len(record_id) <= 200 or not record_id.isprintable():
        raise Skip(f"the id {record_id[:40]!r} must have 1 to 200 printable characters")
    return record_id


def labels_of(value: Any, multi_label: bool, separator: str) -> list[str]:
    """Return the labels in a cell. Raises Skip."""
    if isinstance(value, list):
        if not all(isinstance(name, str) for name in value):
            raise Skip("labels that are not strings")
        names = value
    elif value is None or (isinstance(value, str) and not value.strip()):
        raise Skip("no label")
    elif not isinstance(value, str | int) or isinstance(value, bool):
        raise Skip(f"the label is a {type(value).__name__}, not a string")
    else:
        names = str(value).split(separator) if multi_label else [str(value)]
    names = [_unicode(name.strip()) for name in names]
    if not multi_label and len(names) != 1:
        raise Skip(f"{len(names)} labels; each text of this task has one")
    return list(dict.fromkeys(name for name in names if name))


def _metadata(values: Mapping[str, Any], used: Used) -> dict[str, MetadataValue]:
    cells = {name: values.get(name) for name in used.metadata}
    return {name: _plain(value) for name, value in cells.items() if not _missing(value)}


def _missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and not math.isfinite(value))


def _plain(value: Any) -> MetadataValue:
    if isinstance(value, str):
        return _unicode(value)
    return value if isinstance(value, int | float | bool) else str(value)


def _unicode(text: str) -> str:
    if "\0" in text:
        raise Skip("a NUL character, which is no text")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise Skip("half of a surrogate pair (\\ud800...), which is no text")
    return text
