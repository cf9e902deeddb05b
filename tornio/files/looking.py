"""Look at a data file that nobody has described: what its columns hold, which is the text, the id and the label."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from itertools import islice
from typing import Any

from tornio.files.cells import SEPARATOR, Skip, labels_of, record_id_of, text_of
from tornio.files.rows import ID_NAMES, LABEL_NAMES, TEXT_NAMES
from tornio.files.tables import Reader
from tornio.records import default_record_id

SAMPLED_ROWS = 2_000
"""Rows by which columns are guessed. Labels are counted in all rows."""
MAX_LABELS = 1_000
"""A column with more different labels than a task may have holds no labels."""
_LABEL_NAMES = ("label_text", "label_name", *LABEL_NAMES, "target", "sentiment", "topic", "intent", "emotion")
"""Names of columns that hold labels. Names of labels come before their numbers."""
_ID_ENDINGS = ("_id", "-id", " id", "uuid")
_IDS_THAT_DIFFER = 0.9
"""Share of different values from which on a column may hold the ids: exports have a few rows twice."""
_DATE = re.compile(r"\d{1,4}([./-])\d{1,2}\1\d{1,4}(?!\d)|\d{1,2}:\d\d(?!\d)")
_CLEARLY_LONGER = 1.5
"""The longest column is the text without a question if its cells are so many times longer than any other's."""
_LABEL_CHARACTERS = 60
_ROWS_A_LABEL = 3
_SENTENCE_WORDS = 4
"""A name of a column with so many words is a text, and the file has no header."""


@dataclass(frozen=True, slots=True)
class ColumnLook:
    """What the first rows of a file have in one column. ``length``: mean characters of the cells that hold text.

    ``strings``: cells that hold text and no number. ``dates``: those of them that are a date or a time.
    """

    name: str
    filled: int = 0
    strings: int = 0
    length: float = 0.0
    distinct: int = 0
    dates: int = 0

    @property
    def is_text(self) -> bool:
        """Whether most of its cells hold text."""
        return self.strings * 2 > self.filled


@dataclass(frozen=True, slots=True)
class Guess:
    """The columns that a file seems to have. ``texts`` and ``labels``: all that could be meant, the likeliest first.

    ``text`` and ``label`` are None if that is not clear, or if there is none.
    """

    texts: tuple[str, ...]
    text: str | None
    record_id: str | None
    labels: tuple[str, ...]
    label: str | None


@dataclass(slots=True)
class Found:
    """What all rows of a file hold, in the chosen columns. ``unusable``: rows without a usable text.

    ``repeated_ids``: rows whose id an earlier row has, too. ``clashing_ids``: those of them with another text.

    ``single``, ``several``: how often each label occurs if a text has one label, and if it may have several.
    ``lists``: rows whose cell lists several labels. ``unread``: why the first label that cannot be read cannot.
    """

    texts: int = 0
    unusable: int = 0
    repeated_ids: int = 0
    clashing_ids: int = 0
    single: Counter[str] = field(default_factory=Counter)
    several: Counter[str] = field(default_factory=Counter)
    labelled_singly: int = 0
    labelled_severally: int = 0
    lists: int = 0
    unread: str | None = None
    script: str | None = None
    example: str = ""
    _wholes: dict[str, str] = field(default_factory=dict)
    _shared: bool = False

    @property
    def multi_label(self) -> bool:
        """Whether the cells seem to hold several labels: as lists, or joined so that their parts recur elsewhere."""
        return bool(self.lists) or self._shared

    def counts(self, multi_label: bool) -> Mapping[str, int]:
        return self.several if multi_label else self.single

    def labelled(self, multi_label: bool) -> int:
        """How many texts have a label."""
        return self.labelled_severally if multi_label else self.labelled_singly


def has_no_header(columns: Sequence[str] | None) -> bool:
    """Whether the first line, of which a reader has made the names of columns, looks like a row of the data."""
    return columns is not None and any(len(name.split()) >= _SENTENCE_WORDS for name in columns)


def look(reader: Reader) -> list[ColumnLook]:
    """Return what the first rows have in each column. Raises InvalidFile."""
    if reader.columns is None:
        return []
    rows = [row.values for row in islice(reader.read(()), SAMPLED_ROWS) if isinstance(row.values, dict)]
    return [_column(name, [values.get(name) for values in rows]) for name in reader.columns]


def guess(columns: Sequence[ColumnLook]) -> Guess:
    """Return the columns that hold text, id and label, by their names and their cells."""
    texts = sorted((one for one in columns if one.is_text), key=lambda one: -one.length)
    names = tuple(one.name for one in texts)
    text = _named(texts, TEXT_NAMES)
    if text is None and names:
        clear = len(texts) == 1 or texts[0].length >= _CLEARLY_LONGER * texts[1].length
        text = names[0] if clear else None
    likely = text or (names[0] if names else None)
    ids = sorted((one for one in columns if _is_id(one, likely)), key=lambda one: one.distinct / one.filled)
    record_id = _named(columns, ID_NAMES) or (ids[-1].name if ids else None)
    others = [one for one in columns if one.name not in (likely, record_id)]
    label = _named([one for one in others if one.filled], _LABEL_NAMES)
    labels = tuple(one.name for one in others if one.name == label or _may_label(one))
    return Guess(names, text, record_id, tuple(sorted(labels, key=lambda name: name != label)), label)


def read_all(reader: Reader, text: str, record_id: str | None, label: str | None) -> Found:
    """Return what all rows hold in these columns. ``text``: empty for a file with a text per line. Raises InvalidFile.

    A file has few different labels. Beyond MAX_LABELS, further ones are not counted.
    """
    found, seen, scripts = Found(), dict[str, int](), Counter[str]()
    classes = reader.class_names(label) if label else None
    for row in reader.read([name for name in (text, record_id, label) if name]):
        try:
            if isinstance(row.values, str):
                raise Skip(row.values)
            words = text_of(row.values, text)
            own = record_id_of(row.values, record_id)
        except Skip:
            found.unusable += 1
            continue
        found.texts += 1
        if own is not None and own in seen:
            found.repeated_ids += 1
            found.clashing_ids += seen[own] != hash(words)
        seen.setdefault(own or default_record_id(words), hash(words))
        if found.texts <= SAMPLED_ROWS:
            scripts.update(_scripts(words))
        if not found.example and _is_example(words):
            found.example = words
        if label is not None:
            _count(found, row.values.get(label), classes)
    found.script = scripts.most_common(1)[0][0] if scripts else None
    return found


def _column(name: str, values: Sequence[Any]) -> ColumnLook:
    filled = [value for value in values if value is not None and value != ""]
    strings = [value for value in filled if isinstance(value, str) and not _is_number(value)]
    length = sum(map(len, strings)) / len(strings) if strings else 0.0
    dates = sum(map(_is_date, strings)) + sum(isinstance(value, date | time) for value in filled)
    return ColumnLook(name, len(filled), len(strings), length, len(set(map(str, filled))), dates)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_date(text: str) -> bool:
    """Whether it begins with a date of three numbers, or is a time."""
    return _DATE.match(text.strip()) is not None


def _named(columns: Iterable[ColumnLook], names: Sequence[str]) -> str | None:
    by_lower = {one.name.lower(): one.name for one in columns}
    return next((by_lower[name] for name in names if name in by_lower), None)


def _is_id(column: ColumnLook, text: str | None) -> bool:
    ends = column.name.lower().endswith(_ID_ENDINGS) or column.name.endswith(("Id", "ID"))
    return ends and column.name != text and 0 < _IDS_THAT_DIFFER * column.filled <= column.distinct


def _may_label(column: ColumnLook) -> bool:
    """Whether its values are short and recur, as labels do, and are not dates."""
    if column.dates * 2 > column.filled:
        return False
    few = 2 <= column.distinct <= MAX_LABELS and column.distinct * _ROWS_A_LABEL <= column.filled
    return few and column.length <= _LABEL_CHARACTERS


def _count(found: Found, value: Any, classes: Sequence[str] | None) -> None:
    """Count the labels of a cell, in both readings."""
    reason = None
    try:
        names = labels_of(value, True, SEPARATOR, classes)
        found.labelled_severally += 1
        _add(found.several, names)
        _compare(found, names)
    except Skip as skip:
        names, reason = [], str(skip)
    try:
        _add(found.single, labels_of(value, False, SEPARATOR, classes))
        found.labelled_singly += 1
    except Skip as skip:
        reason = str(skip)
        found.lists += len(names) > 1
    empty = value is None or (isinstance(value, str) and not value.strip())
    if reason is not None and not empty and len(names) < 2:
        found.unread = found.unread or reason


def _add(counter: Counter[str], names: Sequence[str]) -> None:
    for name in names:
        if name in counter or len(counter) <= MAX_LABELS:
            counter[name] += 1


def _compare(found: Found, names: Sequence[str]) -> None:
    """Note whether a part of a cell with several labels occurs in another cell, too: then the parts are labels."""
    whole = SEPARATOR.join(names)
    for name in names:
        earlier = found._wholes.get(name)
        if earlier is None and len(found._wholes) <= MAX_LABELS:
            found._wholes[name] = whole
        elif earlier is not None and earlier != whole:
            found._shared = True


def _is_example(text: str) -> bool:
    """Whether a text can stand in a command line as an example."""
    return len(text) <= 80 and text[0].isalpha() and text.isprintable() and len(text.split()) > 1


def _scripts(text: str) -> Iterator[str]:
    """Yield the script of each of the first letters, by the first word of its name in Unicode."""
    for letter in islice(filter(str.isalpha, text), 20):
        yield unicodedata.name(letter, "UNKNOWN").split()[0].split("-")[0]
