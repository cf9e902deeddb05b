"""What a session is, and where sessions are kept, as a port: in the object store, or in memory in tests."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Protocol

_SHAPE = re.compile(r"[A-Za-z0-9_-]{43}")


class Sessions(Protocol):
    """The sessions of all replicas. Methods raise Unavailable while they cannot be reached.

    ``token``: what the browser holds. It is opaque, and only its SHA-256 is ever stored. ``key``: the SHA-256 of an API
    key. A session is only as good as its key, so whoever finds one looks the key up.
    """

    async def begin(self, key: str) -> str:
        """Begin a session for the holder of a key. Return its token."""

    async def find(self, token: str) -> str | None:
        """Return the key of a session, None if there is no such session or if it has expired."""

    async def end(self, token: str) -> None:
        """End a session. Ending it again is harmless. Another replica may take some seconds to notice."""


def new_token() -> str:
    """Return 256 random bits, as 43 letters, digits, '-' and '_'."""
    return secrets.token_urlsafe(32)


def is_token(text: str) -> bool:
    """Whether a text has the form of a token. Nothing else is looked for in the store."""
    return _SHAPE.fullmatch(text) is not None


def digest_of(token: str) -> str:
    """Return the hex SHA-256 of a token, which is stored in its place."""
    return hashlib.sha256(token.encode()).hexdigest()


def form_token(token: str) -> str:
    """Return what each form of this session carries, so that a page of another site cannot send one."""
    return hmac.new(token.encode(), b"tornio form", hashlib.sha256).hexdigest()
