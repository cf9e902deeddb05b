"""On whose behalf a request is worked on. It travels with the request, so that no part in between passes it on."""

from __future__ import annotations

from contextvars import ContextVar

CLIENT: ContextVar[str] = ContextVar("client", default="")
"""The name of the key that a request came with. Empty for work that nobody asked for."""
