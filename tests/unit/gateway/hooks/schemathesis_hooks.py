"""What schemathesis does not know by itself: it loads this module."""

from __future__ import annotations

import schemathesis
from schemathesis import SerializationContext


@schemathesis.serializer("application/jsonl")  # type: ignore[untyped-decorator,unused-ignore]
def json_lines(_: SerializationContext, value: object) -> bytes:
    """Send text as it is: the schema of such a body is a string."""
    return str(value).encode("utf-8", "replace")
