"""Which records a pool accepts."""

from __future__ import annotations

import json

from tornio.records import Record

MAX_TEXT_BYTES = 1 << 20
"""In bytes of UTF-8: far more than a model reads. Longer texts should be split by the user."""
MAX_METADATA_BYTES = 64 << 10
MAX_ID = 200
"""In characters."""


def record_problem(record: Record) -> str | None:
    """Return why a pool cannot accept the record and what to do about it, or None if it can."""
    if not record.record_id.strip() or len(record.record_id) > MAX_ID:
        return f"its id has {len(record.record_id)} characters, but must have 1 to {MAX_ID}: choose another id"
    if not record.record_id.isprintable():
        return "its id contains characters that cannot be displayed: choose another id"
    return _text_problem(record.text) or _metadata_problem(record)


def _text_problem(text: str) -> str | None:
    if not text.strip():
        return "its text is empty: remove the record"
    if "\x00" in text:  # the annotation tool's database refuses it
        return f"its text contains a NUL character (at {text.index(chr(0))}): remove it"
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        return f"its text contains half a surrogate pair (at {error.start}): read the file with its correct encoding"
    if size > MAX_TEXT_BYTES:
        return f"its text has {size:,} bytes; the limit is {MAX_TEXT_BYTES:,}: split it, or keep its beginning"
    return None


def _metadata_problem(record: Record) -> str | None:
    try:
        size = len(json.dumps(dict(record.metadata), allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError) as error:
        return f"its metadata cannot be written as JSON ({error}): use texts, finite numbers, true and false"
    if size > MAX_METADATA_BYTES:
        return f"its metadata has {size:,} bytes; the limit is {MAX_METADATA_BYTES:,}: remove some of it"
    return None
