"""The bytes of a file or of standard input, and their text."""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

from tornio.errors import InvalidFile

_HEAD = 1 << 16
"""Bytes that are read to recognise a file."""
_CHUNK = 1 << 20
"""Bytes that are decoded at once to find the first byte that cannot be decoded."""
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # it begins with the mark of UTF-16, so it comes first
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks. The decoders of UTF-16 and UTF-32 take theirs away."""
_BLANK = b" \t\r\n\0" + codecs.BOM_UTF8 + codecs.BOM_UTF16_LE
"""A file of nothing but these bytes holds no text, in any encoding."""
_MAGIC = {
    b"PK\x03\x04": "a zip file or an Excel workbook. Save the sheet as CSV (UTF-8), or unpack the file",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file. Save the sheet as CSV (UTF-8)",
    b"\x1f\x8b": "compressed with gzip. Unpack it first (gunzip)",
    b"(\xb5/\xfd": "compressed with zstd. Unpack it first (unzstd)",
    b"%PDF": "a PDF. Extract its texts first",
    b"SQLite format 3": "an SQLite database. Export a table as CSV",
}


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that can be read from the beginning any number of times. ``where``: the name that errors use for them."""

    where: str
    path: Path | None
    """None means standard input, which was read into ``body``."""
    body: bytes = b""

    def open(self) -> BinaryIO:
        """Return the bytes from the beginning. Raises InvalidFile."""
        if self.path is None:
            return io.BytesIO(self.body)
        try:
            return self.path.open("rb")
        except OSError as error:
            raise InvalidFile(f"cannot read {self.where}: {error.strerror or error}") from error

    def head(self) -> bytes:
        with self.open() as file:
            return file.read(_HEAD)

    @property
    def suffix(self) -> str:
        return "" if self.path is None else self.path.suffix.lower()


def content_of(path: str | Path, where: str = "") -> Content:
    """Return the content of a file, or of standard input for '-'.

    Raises InvalidFile for a file that cannot be read, or that is of a kind that holds no table of texts.
    """
    if str(path) == "-":
        content = Content(where or "standard input", None, sys.stdin.buffer.read())
    else:
        content = Content(where or str(path), Path(path))
    head = content.head()
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            raise InvalidFile(f"{content.where} is {kind}")
    return content


def is_blank(content: Content) -> bool:
    """Whether a file is empty, or holds nothing but blank lines, zero bytes or a byte order mark."""
    with content.open() as file:
        while chunk := file.read(_CHUNK):
            if chunk.strip(_BLANK):
                return False
    return True


def check_not_empty(content: Content) -> None:
    """Raises InvalidFile for a file that is blank."""
    if is_blank(content):
        raise InvalidFile(f"{content.where} is empty. It must hold at least one text")


def encoding_of(content: Content, named: str | None) -> str:
    """Return the encoding of the byte order mark, else the one that the user named, else UTF-8. Raises InvalidFile."""
    codec = _codec(named) if named else "utf-8"
    head = content.head()
    return next((encoding for mark, encoding in _MARKS.items() if head.startswith(mark)), codec)


def first_character(content: Content, named: str | None) -> str:
    """Return the first character of a text that is not white space; empty if there is none near the beginning."""
    decoder = codecs.getincrementaldecoder(encoding_of(content, named))("ignore")
    try:
        return decoder.decode(content.head()).lstrip("\ufeff \t\r\n")[:1]
    except UnicodeError:  # UTF-16 without a mark; the reader says so
        return ""


def lines_of(content: Content, encoding: str) -> Iterator[str]:
    """Yield the lines of a text with their ends, without a byte order mark.

    Raises InvalidFile with the offset of the first byte that cannot be decoded, and advice. A zero byte on the first
    line means that the file is not text in this encoding; on a later line it concerns one row, which readers report.
    """
    with text_of(content, encoding) as text:
        first = text.readline().lstrip("\ufeff")
        if "\0" in first:
            offset = content.head().find(b"\0")
            raise InvalidFile(
                f"{content.where} is no text: found a zero byte at offset {offset}. "
                "If it is UTF-16 without a byte order mark, give --encoding utf-16-le"
            )
        if first:
            yield first
        yield from text


@contextmanager
def text_of(content: Content, encoding: str) -> Iterator[TextIO]:
    """The text of a file, with its line ends. In the block, bytes that cannot be decoded raise InvalidFile."""
    with io.TextIOWrapper(content.open(), encoding=encoding, newline="") as text:
        try:
            yield text
        except UnicodeDecodeError as error:
            raise InvalidFile(_not_decodable(content, encoding)) from error
        except UnicodeError as error:  # "UTF-16 stream does not start with BOM"
            raise InvalidFile(
                f"{content.where} cannot be read as {encoding} ({error}). Give --encoding utf-16-le or utf-16-be"
            ) from error


def _codec(encoding: str) -> str:
    try:
        codec = codecs.lookup(encoding)
        "text".encode(codec.name)  # some codecs turn bytes into bytes, or cannot encode at all
        return codec.name
    except (LookupError, UnicodeError) as error:
        raise InvalidFile(f"--encoding {encoding} is unknown. Try utf-8, windows-1252, latin-1 or utf-16") from error


def _not_decodable(content: Content, encoding: str) -> str:
    """Read the file again up to the first byte that cannot be decoded, and return the message."""
    decoder = codecs.getincrementaldecoder(encoding)()
    begins, line = 0, 1
    with content.open() as file:
        while True:
            chunk = file.read(_CHUNK)
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk, not chunk)
            except UnicodeDecodeError as error:
                line += chunk.count(b"\n", 0, max(0, error.start - pending))
                return _advice(content.where, encoding, error, begins - pending + error.start, line)
            if not chunk:  # the file has changed in the meantime
                return f"{content.where} is not {encoding.upper()}; give the encoding of the file with --encoding"
            begins, line = begins + len(chunk), line + chunk.count(b"\n")


def _advice(where: str, encoding: str, error: UnicodeDecodeError, offset: int, line: int) -> str:
    body = error.object
    byte = body[error.start] if error.start < len(body) else 0
    message = f"{where} is not {encoding.upper()}: found byte 0x{byte:02x} at offset {offset} (line {line})"
    if encoding != "utf-8":
        return f"{message}. Give the encoding of the file with --encoding"
    before, after = body[max(0, error.start - 20) : error.start], body[error.start : error.start + 20]
    shown = (before.split(b"\n")[-1] + after.split(b"\n")[0]).decode("windows-1252", "replace").strip()
    return (
        f"{message}. With --encoding windows-1252 it would read {shown!r}. Save the file as UTF-8, or give "
        "its encoding with --encoding"
    )
