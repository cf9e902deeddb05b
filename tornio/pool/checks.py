"""Which records a pool takes."""

from __future__ import annotations

import json

from tornio.records import Record

MAX_TEXT_BYTES = 1 << 20
"""Bytes of UTF-8: far more than a model reads; whoever has longer texts wants them split."""
MAX_METADATA_BYTES = 64 << 10
MAX_ID = 200
"""Characters."""


def record_problem(record: Record) -> str | None:
    """Why a pool cannot take the record and what to do about it, or None when it can."""
    if not record.record_id.strip() or len(record.record_id) > MAX_ID:
        return f"its id must have 1 to {MAX_ID} characters, found {len(record.record_id)}: give it another"
    if not record.record_id.isprintable():
        return "its id holds characters that cannot be shown: give it another"
    return _text_problem(record.text) or _metadata_problem(record)


def _text_problem(text: str) -> str | None:
    if not text.strip():
        return "its text is empty: leave it out"
    if "\x00" in text:  # the annotation tool's database refuses it
        return f"its text holds a NUL character (at {text.index(chr(0))}): remove it"
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        return f"its text holds half a surrogate pair (at {error.start}): read the file with its own encoding"
    if size > MAX_TEXT_BYTES:
        return f"its text has {size:,} bytes, at most {MAX_TEXT_BYTES:,} are taken: split it, or keep its beginning"
    return None


def _metadata_problem(record: Record) -> str | None:
    try:
        size = len(json.dumps(dict(record.metadata), allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError) as error:
        return f"its metadata cannot be written as JSON ({error}): use texts, finite numbers, true and false"
    if size > MAX_METADATA_BYTES:
        return f"its metadata has {size:,} bytes, at most {MAX_METADATA_BYTES:,} are taken: leave some out"
    return None
