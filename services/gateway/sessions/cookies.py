"""The cookie that holds a session's token."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

from services.gateway.sessions.port import is_token

_NAME = "tornio-session"


def is_secure(scope: Scope) -> bool:
    """Whether the browser speaks TLS, to this server or to a proxy before it.

    A client may write the proxy's header itself, but it changes only its own cookie by that.
    """
    proxied = Headers(scope=scope).get("x-forwarded-proto", "").split(",")[0].strip().lower()
    return scope.get("scheme") == "https" or proxied == "https"


def token_in(scope: Scope) -> str | None:
    """Return the token in a request's cookie, None without one."""
    token = cookie_parser(Headers(scope=scope).get("cookie", "")).get(_name(scope), "")
    return token if is_token(token) else None


def cookie(scope: Scope, token: str, seconds: int) -> str:
    """Return the ``Set-Cookie`` that makes the browser keep a token. No script can read it, and no other site's page
    makes the browser send it. With 0 seconds, the browser forgets it."""
    secure = "; Secure" if is_secure(scope) else ""
    return f"{_name(scope)}={token}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Strict{secure}"


def _name(scope: Scope) -> str:
    """With this prefix, browsers take the cookie from this host over TLS alone."""
    return f"__Host-{_NAME}" if is_secure(scope) else _NAME
