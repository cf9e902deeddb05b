"""The cells of a row: text, id, labels and metadata. One rule for every format."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tornio.api import MAX_TEXT
from tornio.errors import InvalidFile
from tornio.records import MetadataValue

SEPARATOR = "|"
"""Separates the labels of a text that has several."""
_LIKE_A_LIST = re.compile(
    r"""[\[({]\s*['"].*['"]\s*(?:,\s*)?[\])}] | \[[^\[\],]*,[^\[\]]*\] | \[[\d.\s+-]+\]""", re.X | re.S
)
"""How Python, NumPy and others write a list of names or numbers into a cell. No two parts of it that follow each other
match the same characters, so that a long cell takes no longer than its length."""
_EXACT = 2**53
"""From here on, a float no longer tells one whole number from the next."""


class Skip(Exception):
    """Leave the row out, for this reason."""


def check_separator(separator: str) -> None:
    """Raises InvalidFile for a separator that separates nothing."""
    if not separator:
        raise InvalidFile("the separator between labels is empty. Give the character that is between them, such as '|'")


def text_of(values: Mapping[str, Any], column: str) -> str:
    """Return the text of a row. Raises Skip."""
    text = values.get(column)
    if text is None or (isinstance(text, str) and not text.strip()):
        raise Skip("no text")
    if not isinstance(text, str):
        raise Skip(f"the text is a {type(text).__name__}, not a string")
    if len(text) > MAX_TEXT:
        raise Skip(f"the text has {len(text):,} characters; at most {MAX_TEXT:,} are accepted: split it")
    return _unicode(text)


def record_id_of(values: Mapping[str, Any], column: str | None) -> str | None:
    """Return the id of a row, if it has one. Raises Skip."""
    value = values.get(column) if column else None
    if _missing(value) or (isinstance(value, str) and not value.strip()):
        return None
    number = _whole(value)
    if number is None and not isinstance(value, str):
        raise Skip(f"the id {_short(value)} is neither a string nor a whole number")
    record_id = _unicode(value if isinstance(value, str) else str(number), "the id has ")
    if not 1 <= len(record_id) <= 200 or not record_id.isprintable():
        raise Skip(f"the id {record_id[:40]!r} must have 1 to 200 printable characters")
    return record_id


def labels_of(value: Any, multi_label: bool, separator: str, classes: Sequence[str] | None = None) -> list[str]:
    """Return the labels in a cell. ``classes``: the names that numbers stand for; None: numbers are names themselves.

    With ``multi_label`` a cell may hold several labels, as a list or with separators between them, and an empty cell
    or list means that the text has none of the labels. Without it, a cell holds exactly one. Raises Skip.
    """
    if isinstance(value, str):
        items: Iterable[Any] = _written(value.strip(), multi_label, separator)
    elif isinstance(value, list | tuple):
        items = value
    elif multi_label and _missing(value):
        raise Skip("no label: an empty list, or in CSV an empty cell, would mean none of the labels")
    else:
        items = () if _missing(value) else (value,)
    names = list(dict.fromkeys(name for item in items if (name := _name(item, classes))))
    if not multi_label and len(names) != 1:
        raise Skip(f"{len(names)} labels; each text has one" if names else "no label")
    return names


def label_cell(labels: Sequence[str]) -> str:
    """Return the text of a cell from which ``labels_of`` reads these labels again, whether several are allowed or not.

    The labels with separators between them, as people write them; a JSON list where that would be read otherwise.
    """
    joined = SEPARATOR.join(labels)
    expected = list(labels)
    try:
        if labels_of(joined, True, SEPARATOR) == expected and (
            len(expected) != 1 or labels_of(joined, False, SEPARATOR) == expected
        ):
            return joined
    except Skip:
        pass
    return json.dumps(expected, ensure_ascii=False)


def metadata_of(values: Mapping[str, Any], columns: Sequence[str]) -> dict[str, MetadataValue]:
    """Return the cells of these columns that are not empty. Raises Skip."""
    return {name: _plain(value) for name in columns if not _missing(value := values.get(name))}


def _written(text: str, multi_label: bool, separator: str) -> Sequence[Any]:
    """The labels that a text lists. Raises Skip."""
    if not text:
        return ()
    if text[0] in "[({":
        listed = _json_list(text)
        if listed is not None:
            return listed
        if _LIKE_A_LIST.fullmatch(text):
            raise Skip(f'the label {_short(text)} looks like a list. Write it as JSON, such as ["a", "b"]')
    return text.split(separator) if multi_label else (text,)


def _json_list(text: str) -> list[Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def _name(value: Any, classes: Sequence[str] | None) -> str:
    """The name of one label: a string as it is, true or false, a whole number, or the class of this number.

    Raises Skip.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        name = _unicode(value.strip())
        if classes is None or name in classes or not re.fullmatch(r"-?[0-9]{1,9}", name):
            return name
        number: int | None = int(name)  # CSV writes the numbers of classes as text
    else:
        number = None if _missing(value) else _whole(value)
    if _missing(value) or (classes is not None and number == -1):  # datasets writes -1 for "no label"
        raise Skip("no label")
    if number is None:
        raise Skip(f"the label {_short(value)} is neither a string nor a whole number")
    if classes is None:
        return str(number)
    if not 0 <= number < len(classes):
        raise Skip(f"the label {number} is not the number of one of the {len(classes)} classes")
    return classes[number]


def _whole(value: Any) -> int | None:
    """The whole number that a value is. A column of whole numbers with gaps is often stored as floats."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) < 10**200 else None
    number = float(value) if isinstance(value, float | Decimal) else math.nan
    return int(number) if number.is_integer() and abs(number) < _EXACT else None


def _missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float | Decimal) and not math.isfinite(value))


def _plain(value: Any) -> MetadataValue:
    if isinstance(value, str):
        return _unicode(value)
    return value if isinstance(value, int | float | bool) else _unicode(str(value))


def _short(value: Any) -> str:
    shown = value if isinstance(value, str) else str(value)
    return repr(shown if len(shown) <= 60 else shown[:57] + "...") if isinstance(value, str) else shown[:60]


def _unicode(text: str, where: str = "") -> str:
    if "\0" in text:
        raise Skip(f"{where}a NUL character, which is no text")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise Skip(f"{where}half of a surrogate pair (\\ud800...), which is no text")
    return text
