"""Text from users, as it may be shown to people: what a terminal or a browser would obey becomes visible."""

from __future__ import annotations

import re
import unicodedata

_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but tab and line feed, line separators, marks of writing direction (Unicode's Bidi_Control), and
halves of surrogate pairs, which no output can encode."""


def visible(text: str) -> str:
    r"""Return the text with an escape, such as ``\u001b``, for each character that a terminal obeys or cannot show.

    Tab and line feed stay. The escapes are those of JSON, so a JSON document keeps its meaning.
    """
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def markdown_code(text: str) -> str:
    """Return a text as code in Markdown, whatever it contains: between more backticks than follow each other in it."""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    inner = visible(text).replace("\n", " ")
    return f"{fence} {inner} {fence}" if len(fence) > 1 else f"{fence}{inner}{fence}"


_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols of Unicode that leave the place empty."""
_SELECTORS = re.compile("[\u034f\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Marks that show nothing themselves."""


def has_visible(text: str) -> bool:
    """Whether people can see anything of the text: a letter, digit, sign or symbol."""
    return any(map(_is_seen, text))


def appearance(text: str) -> str:
    """Return what is equal for texts that people cannot tell apart, or only by case and white space."""
    shown = _SELECTORS.sub("", unicodedata.normalize("NFKC", text))
    kept = (
        letter for letter in shown if letter.isspace() or unicodedata.category(letter)[0] == "M" or _is_seen(letter)
    )
    return unicodedata.normalize("NFKC", " ".join("".join(kept).casefold().split()))


def _is_seen(letter: str) -> bool:
    category = unicodedata.category(letter)
    return (category[0] in "LNPS" or category == "Co") and letter not in _BLANK
