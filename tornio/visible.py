"""Text from users, as it may be shown to people: what a terminal or a browser would obey becomes visible."""

from __future__ import annotations

import re

_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but tab and line feed, line separators, marks of writing direction (Unicode's Bidi_Control), and
halves of surrogate pairs, which no output can encode."""


def visible(text: str) -> str:
    r"""Return the text with an escape, such as ``\u001b``, for each character that a terminal obeys or cannot show.

    Tab and line feed stay. The escapes are those of JSON, so a JSON document keeps its meaning.
    """
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
