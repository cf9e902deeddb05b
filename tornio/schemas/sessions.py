"""Sessions of people who are logged in to the web page."""

from __future__ import annotations

from typing import ClassVar

from tornio.schemas.base import Document, Timestamp


class PageSession(Document):
    """``_sessions/{token}.json``: somebody who is logged in to the web page. ``token``: SHA-256 of the session's token.

    Put if absent. It is deleted when the person logs out, or at some later login of anybody once it has expired.
    Neither the token nor the API key can be found out from it.
    """

    FORMAT: ClassVar[str] = "page-session"

    key: str
    """SHA-256 of the API key. What the session may do is looked up by it at each request, so that a session ends when
    its key is removed."""
    created_at: Timestamp
    expires_at: Timestamp
