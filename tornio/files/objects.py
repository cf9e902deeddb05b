"""JSON lines, and JSON lists of objects."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO

from tornio.errors import InvalidFile
from tornio.files.content import Content, encoding_of, lines_of, text_of
from tornio.files.tables import Options, Reader, Row

_SAMPLED_OBJECTS = 200
"""Objects whose keys are the columns: the first object alone may lack some."""
_PIECE = 1 << 16
"""Characters of a JSON list that are read at once."""
_LONGEST = 64 << 20
"""Characters after which a value that does not end is taken for a damaged file."""
_NEAR_THE_END = 16
"""Characters. The json module reports a cut number, word or escape at most this far before the cut."""
_SPACE = re.compile(r"[ \t\r\n]*")


def read_json_lines(content: Content, options: Options) -> Reader:
    """Return the reader of a file with one JSON object per line. Raises InvalidFile where no line is one."""
    encoding = encoding_of(content, options.encoding)

    def rows() -> Iterator[Row]:
        for number, line in enumerate(lines_of(content, encoding), 1):
            if line.strip():
                yield Row(number, _object(line.rstrip("\r\n")))

    return _reader(content, rows, "JSON lines")


def read_json(content: Content, options: Options) -> Reader:
    """Return the reader of a JSON list of objects, or of one object; a file named .json is often JSON lines.

    Raises InvalidFile.
    """
    encoding = encoding_of(content, options.encoding)
    first = next((line for line in lines_of(content, encoding) if line.strip()), "")
    if first.lstrip().startswith("["):
        return _reader(content, lambda: _elements(content, encoding), "a JSON list")
    if isinstance(_object(first.strip()), str) and (single := _single(content, encoding)) is not None:
        return _reader(content, lambda: iter([Row(1, single)]), "a JSON list")
    return read_json_lines(content, options)


def _reader(content: Content, rows: Callable[[], Iterator[Row]], what: str) -> Reader:
    first: Row | None = None
    sampled: list[dict[str, Any]] = []
    for row in rows():
        first = first or row
        if isinstance(row.values, dict):
            sampled.append(row.values)
        if len(sampled) == _SAMPLED_OBJECTS:
            break
    names = _keys(sampled)
    if not names:
        reason = "" if first is None else f"; line {first.line}: {first.values}"
        raise InvalidFile(f"{content.where} holds no JSON object{reason}")

    def read(_columns: Sequence[str]) -> Iterator[Row]:
        return rows()

    def more() -> tuple[str, ...]:
        return _keys(row.values for row in rows() if isinstance(row.values, dict))

    return Reader(names, what, read, more_columns=more)


def _keys(objects: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for one in objects for key in one))


def _object(text: str) -> dict[str, Any] | str:
    """The object of a line, or the reason why it cannot be used."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    return value if isinstance(value, dict) else "not a JSON object ({...})"


def _single(content: Content, encoding: str) -> dict[str, Any] | None:
    """The object that is all of the file, over several lines. None: the file is something else."""
    with text_of(content, encoding) as text:
        values = _Values(text)
        try:
            value = values.take() if values.next_character() else None
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) and not values.next_character() else None


def _elements(content: Content, encoding: str) -> Iterator[Row]:
    """The elements of a JSON list by their numbers. Holds one element and a piece of the text in memory."""
    number = 0
    with text_of(content, encoding) as text:
        values = _Values(text)
        try:
            values.expect("[")
            if values.next_character() == "]":
                return
            while True:
                number += 1
                values.next_character()
                value = values.take()
                yield Row(number, value if isinstance(value, dict) else "not a JSON object")
                if values.expect(",]") == "]":
                    break
            if values.next_character():
                raise ValueError("found text after the list")
        except UnicodeDecodeError:
            raise
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else error
            raise InvalidFile(
                f"{content.where} is not a JSON list that can be read: {reason}, at element {number:,}. "
                "Repair it there, or write JSON lines, one object per line"
            ) from error


class _Values:
    """JSON values and the characters between them, from a text that is read piece by piece."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._decoder = json.JSONDecoder()
        self._held = text.read(_PIECE).lstrip("\ufeff")
        self._at = 0

    def next_character(self) -> str:
        """The next character that is not white space, which stays to be read; empty at the end."""
        while True:
            space = _SPACE.match(self._held, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._held):
                return self._held[self._at]
            if not self._more():
                return ""

    def expect(self, characters: str) -> str:
        """Read one of these characters. Raises ValueError."""
        character = self.next_character()
        if not character or character not in characters:
            actual = repr(character) if character else "the end of the file"
            raise ValueError(f"found {actual} where {' or '.join(map(repr, characters))} belongs")
        self._at += 1
        return character

    def take(self) -> Any:
        """Read a value. Raises ValueError, and RecursionError for one that is nested too deep."""
        while True:
            try:
                value, end = self._decoder.raw_decode(self._held, self._at)
            except json.JSONDecodeError as error:
                if not self._is_cut(error) or not self._more():
                    raise
            else:
                if end < len(self._held) or not self._more():  # a number may go on behind the piece
                    self._at = end
                    return value

    def _is_cut(self, error: json.JSONDecodeError) -> bool:
        """Whether the value may be complete with more of the text."""
        if len(self._held) - self._at > _LONGEST:
            return False
        return error.msg.startswith("Unterminated string") or error.pos >= len(self._held) - _NEAR_THE_END

    def _more(self) -> bool:
        """Read more, as much again as is held, so that a long value is not decoded too often."""
        held = self._held[self._at :]
        piece = self._text.read(max(_PIECE, len(held)))
        self._held, self._at = held + piece, 0
        return bool(piece)
