"""Texts and guidelines as Argilla's page must get them, so that it shows their characters and interprets none.

The page of Argilla 2.8 inserts a text into its HTML as it is, although the field is plain: the tags of a text are
interpreted, and its scripts run in the browser of every annotator. It shows the names of labels as text.
"""

from __future__ import annotations

import html
import re

_CODE_OR_TAG = re.compile(r"(?P<code>^(?P<fence>```|~~~).*?(?:^(?P=fence)|\Z)|`[^`\n]+`)|<", re.MULTILINE | re.DOTALL)


def to_page(text: str) -> str:
    """Return the text as HTML that shows it. ``from_page`` returns the text again."""
    return html.escape(text, quote=False)


def from_page(shown: str) -> str:
    """Return the text that ``to_page`` was given."""
    return shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def guidelines_to_page(guidelines: str) -> str:
    """Return Markdown that shows the tags of these guidelines instead of interpreting them.

    Markdown interprets no tags in code, where a character reference would be shown as it is written. So code stays.
    """
    return _CODE_OR_TAG.sub(lambda found: found["code"] or "&lt;", guidelines)
