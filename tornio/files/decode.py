"""Bytes to text, with an error that helps when they are none."""

from __future__ import annotations

import codecs

from tornio.errors import InvalidFile

_MAGIC = {
    b"PK\x03\x04": "a zip file or an Excel workbook: save the sheet as CSV (UTF-8), or unpack it",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file: save the sheet as CSV (UTF-8)",
    b"\x1f\x8b": "gzip: unpack it first (gunzip)",
    b"(\xb5/\xfd": "zstd: unpack it first (unzstd)",
    b"%PDF": "a PDF: extract its texts first",
    b"SQLite format 3": "an SQLite database: export a table as CSV",
}


def decode(body: bytes, where: str, encoding: str | None = None) -> tuple[str, str]:
    """The text and the encoding it was in: the one given, else the byte order mark's, else UTF-8.

    Raises InvalidFile with the offset of the first byte that does not fit, and what to do.
    """
    for magic, found in _MAGIC.items():
        if body.startswith(magic):
            raise InvalidFile(f"{where} is {found}")
    name = _codec(encoding) if encoding else _marked(body) or "utf-8"
    try:
        text = body.decode(name).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InvalidFile(_not_decodable(body, where, name, error)) from error
    if "\0" in text:
        offset = body.find(b"\0")
        raise InvalidFile(
            f"{where} is no text: found a zero byte at offset {offset}. "
            "If it is UTF-16 without a mark, say --encoding utf-16-le"
        )
    return text, name


def _codec(encoding: str) -> str:
    try:
        codec = codecs.lookup(encoding)
        "text".encode(codec.name)  # some codecs turn bytes into bytes, or nothing into anything
        return codec.name
    except (LookupError, UnicodeError) as error:
        raise InvalidFile(f"--encoding {encoding} is unknown: try utf-8, windows-1252, latin-1 or utf-16") from error


def _marked(body: bytes) -> str | None:
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8" if body.startswith(codecs.BOM_UTF8) else None


def _not_decodable(body: bytes, where: str, name: str, error: UnicodeDecodeError) -> str:
    line = body.count(b"\n", 0, error.start) + 1
    found = body[error.start] if error.start < len(body) else 0
    message = f"{where} is not {name.upper()}: found byte 0x{found:02x} at offset {error.start} (line {line})"
    if name != "utf-8":
        return f"{message}; give the encoding it is in with --encoding"
    guess = body[max(0, error.start - 20) : error.start + 20].decode("windows-1252", "replace").split("\n")
    shown = next((part for part in guess if any(ord(letter) > 127 for letter in part)), guess[0]).strip()
    return f"{message}. With --encoding windows-1252 it would read {shown!r}; save it as UTF-8 or give its --encoding"
