"""Turn the rows of a file into records and labels. Rows that cannot be used are skipped, with line and reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from tornio.api import LabelIn, RecordIn
from tornio.errors import InvalidFile
from tornio.files.cells import SEPARATOR, Skip, check_separator, labels_of, metadata_of, record_id_of, text_of
from tornio.files.reading import open_data
from tornio.files.tables import Options, Reader, Row
from tornio.records import default_record_id, text_digest

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
Values = Mapping[str, Any]

TEXT_NAMES = ("text", "texts", "content", "message", "body", "sentence", "comment", "review")
ID_NAMES = ("record_id", "id")
LABEL_NAMES = ("label", "labels", "category", "class")


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
    """The items that were read, the rows that were skipped, and what the file was read as, in words.

    ``contradictions``: the rows whose text has other labels in an earlier row. They may also be skipped.
    """

    items: Sequence[T_co]
    skipped: list[Skipped]
    what: str
    contradictions: list[Skipped] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Used:
    """The columns that are read, by their meaning."""

    text: str
    record_id: str | None
    label: str | None
    metadata: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, each once."""
        named = (self.text, self.record_id, self.label, *self.metadata)
        return tuple(dict.fromkeys(name for name in named if name))


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
    reader = open_data(path, options, where)
    used = choose(reader, columns, where, header_is_optional=options.header_is_optional)
    return RowStream(used, reader.read(used.names), reader.class_names(used.label) if used.label else None)


def read_records(reader: Reader, columns: Columns, where: str) -> Read[RecordIn]:
    """Return the texts of a file. Raises InvalidFile if no column can be the text, or if no row can be used."""
    used = choose(reader, columns, where, label=False)

    def make(values: Values) -> RecordIn:
        return RecordIn(
            text=text_of(values, used.text),
            record_id=record_id_of(values, used.record_id),
            metadata=metadata_of(values, used.metadata),
        )

    return _read(reader, used, where, make)


def read_texts(reader: Reader, columns: Columns, where: str) -> Read[str]:
    """Return the text of every row that has one, repeated ones too. Raises InvalidFile as ``read_records`` does."""
    used = choose(reader, columns, where, label=False)
    texts: list[str] = []
    skipped: list[Skipped] = []
    for row, text in _made(reader.read((used.text,) if used.text else ()), lambda values: text_of(values, used.text)):
        if isinstance(text, Skip):
            skipped.append(Skipped(row.line, str(text)))
        else:
            texts.append(text)
    if not texts:
        raise InvalidFile(f"{where} has no row that can be used{_first_reason(skipped)}")
    return Read(texts, skipped, reader.what)


def read_labels(
    reader: Reader, columns: Columns, where: str, *, multi_label: bool, separator: str = SEPARATOR
) -> Read[LabelIn]:
    """Return the labelled texts of a file. With ``multi_label`` a cell holds labels with separators between them.

    Raises InvalidFile.
    """
    check_separator(separator)
    used = choose(reader, columns, where, label=True)
    classes = reader.class_names(used.label or "")

    def make(values: Values) -> LabelIn:
        return LabelIn(
            text=text_of(values, used.text),
            labels=labels_of(values.get(used.label or ""), multi_label, separator, classes),
            record_id=record_id_of(values, used.record_id),
            metadata=metadata_of(values, used.metadata),
        )

    return _read(reader, used, where, make)


def _read(reader: Reader, used: Used, where: str, make: Callable[[Values], Any]) -> Read[Any]:
    items: list[Any] = []
    skipped: list[Skipped] = []
    contradictions: list[Skipped] = []
    by_id: dict[str, tuple[int, Any]] = {}
    by_text: dict[str, tuple[int, Any]] = {}
    for row, item in _made(reader.read(used.names), make):
        if isinstance(item, Skip):
            skipped.append(Skipped(row.line, str(item)))
            continue
        if isinstance(item, LabelIn):
            earlier = by_text.setdefault(text_digest(item.text), (row.line, item))
            if set(earlier[1].labels) != set(item.labels):
                contradictions.append(Skipped(row.line, _contradiction(item, *earlier)))
        known = by_id.setdefault(item.record_id or default_record_id(item.text), (row.line, item))
        if known[1] is not item:
            skipped.append(Skipped(row.line, _twice(item, *known)))
        else:
            items.append(item)
    if not items:
        raise InvalidFile(f"{where} has no row that can be used{_first_reason(skipped)}")
    return Read(items, skipped, reader.what + _columns_used(reader, used), contradictions)


def _made(rows: Iterator[Row], make: Callable[[Values], T]) -> Iterator[tuple[Row, T | Skip]]:
    for row in rows:
        try:
            yield row, Skip(row.values) if isinstance(row.values, str) else make(row.values)
        except Skip as reason:
            yield row, reason


def _contradiction(item: LabelIn, line: int, earlier: LabelIn) -> str:
    text = item.text if len(item.text) <= 60 else item.text[:57] + "..."
    return f"the text {text!r} is labelled {_listed(item.labels)}, and {_listed(earlier.labels)} in line {line}"


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(map(repr, labels)) or "with none of the labels"


def _twice(item: RecordIn | LabelIn, line: int, earlier: RecordIn | LabelIn) -> str:
    if isinstance(item, LabelIn) and isinstance(earlier, LabelIn) and set(item.labels) != set(earlier.labels):
        more = f", with other labels: {_listed(item.labels)} here, {_listed(earlier.labels)} there"
    else:
        more = ""
    if item.record_id is None:
        return f"the same text as line {line}{more}"
    if item.text == earlier.text:
        return f"the id {item.record_id!r} again, as in line {line}{more}"
    return f"the id {item.record_id!r} again, with another text than in line {line}: ids must be unique"


def _first_reason(skipped: Sequence[Skipped]) -> str:
    return f"; line {skipped[0].line}: {skipped[0].reason}" if skipped else ": it has nothing below the first line"


def _columns_used(reader: Reader, used: Used) -> str:
    if reader.columns is None:
        return ""
    parts = [f"text from {used.text!r}"]
    parts += [f"id from {used.record_id!r}"] if used.record_id else []
    parts += [f"label from {used.label!r}"] if used.label else []
    return ", " + ", ".join(parts)


# Which column means what


def choose(
    reader: Reader, columns: Columns, where: str, *, label: bool = True, header_is_optional: bool = True
) -> Used:
    """Return the columns of a file to use. ``label``: labels are needed.

    Raises InvalidFile where one is missing; ``header_is_optional``: the user can set --no-header.
    """
    try:
        return _choose(reader.columns, columns, where, label, header_is_optional)
    except InvalidFile:
        every = reader.every_column()
        if every == reader.columns:
            raise
        return _choose(every, columns, where, label, header_is_optional)


def _choose(names: Sequence[str] | None, columns: Columns, where: str, label: bool, header_is_optional: bool) -> Used:
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
