"""Cookies of the page: the one that holds a session's token, and how any other is made and read."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

from services.gateway.sessions.port import is_token

_SESSION = "tornio-session"


def is_secure(scope: Scope) -> bool:
    """Whether the browser speaks TLS, to this server or to a proxy before it.

    A client may write the proxy's header itself, but it changes only its own cookie by that.
    """
    proxied = Headers(scope=scope).get("x-forwarded-proto", "").split(",")[0].strip().lower()
    return scope.get("scheme") == "https" or proxied == "https"


def token_in(scope: Scope) -> str | None:
    """Return the token in a request's cookie, None without one."""
    token = value_of(scope, _SESSION)
    return token if is_token(token) else None


def cookie(scope: Scope, token: str, seconds: int) -> str:
    """Return the ``Set-Cookie`` that makes the browser keep a token. With 0 seconds, the browser forgets it."""
    return kept(scope, _SESSION, token, seconds)


def value_of(scope: Scope, name: str) -> str:
    """Return the value of a cookie in a request. Empty without one."""
    return cookie_parser(Headers(scope=scope).get("cookie", "")).get(_full(scope, name), "")


def kept(scope: Scope, name: str, value: str, seconds: int) -> str:
    """Return the ``Set-Cookie`` that makes the browser keep a value. No script can read it, and no other site's page
    makes the browser send it."""
    secure = "; Secure" if is_secure(scope) else ""
    return f"{_full(scope, name)}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Strict{secure}"


def _full(scope: Scope, name: str) -> str:
    """With this prefix, browsers take the cookie from this host over TLS alone."""
    return f"__Host-{name}" if is_secure(scope) else name
