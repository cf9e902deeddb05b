"""Logging in with an API key, and out. The browser gets a token in a cookie, and never keeps the key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request, Response

from services.gateway.auth import KeyRing, key_digest
from services.gateway.dependencies import AnyCaller
from services.gateway.guards import open_to_all
from services.gateway.page.forms import Sent, read_form
from services.gateway.page.messages import Done
from services.gateway.page.rendering import page, see, see_done
from services.gateway.paths import of_page
from services.gateway.sessions import cookies
from services.gateway.sessions.port import Sessions

router = APIRouter(include_in_schema=False)
_HOME = "/"
_HERE = re.compile(r"/(?![/\\])[!-\[\]-~]*")
"""A path of this server. Browsers read two slashes, or one and a backslash, as the name of another server."""
_UNKNOWN = "The server does not know this API key. Check that you have copied all of it."


@dataclass(frozen=True, slots=True)
class Login:
    """What logging in needs. ``hours``: how long the browser keeps the cookie of a session."""

    keys: KeyRing
    sessions: Sessions
    hours: float = 12.0


async def _login(request: Request) -> Login:
    return cast(Login, request.app.state.login)


TheLogin = Annotated[Login, Depends(_login)]


@router.get("/login")
@of_page
@open_to_all
async def form(request: Request, login: TheLogin, wanted: Annotated[str, Query(alias="next")] = _HOME) -> Response:
    """Ask for an API key."""
    if login.keys.is_keyless or getattr(request.state, "caller", None) is not None:
        return see(_safe(wanted))
    return page(request.scope, "login.html.j2", wanted=_safe(wanted), fault="")


@router.post("/login")
@of_page
@open_to_all
async def log_in(request: Request, login: TheLogin) -> Response:
    """Begin a session for the holder of the key in the form."""
    fields = await read_form(request)
    wanted = _safe(fields.get("next", _HOME))
    if login.keys.is_keyless:
        return see(wanted)
    digest = key_digest(fields.get("key", "").strip())
    if login.keys.holder(digest) is None:
        return page(request.scope, "login.html.j2", HTTPStatus.UNAUTHORIZED, wanted=wanted, fault=_UNKNOWN)
    token = await login.sessions.begin(digest)
    return _with_cookie(see(wanted), request, token, int(login.hours * 3600))


@router.post("/logout")
@of_page
async def log_out(request: Request, login: TheLogin, _: AnyCaller, _sent: Sent) -> Response:
    """End the session, at every replica."""
    session = getattr(request.state, "session", None)
    if session is not None:
        await login.sessions.end(session)
    return _with_cookie(see_done(request.scope, "/login", Done.LOGGED_OUT), request, "", 0)


def _with_cookie(response: Response, request: Request, token: str, seconds: int) -> Response:
    response.headers.append("Set-Cookie", cookies.cookie(request.scope, token, seconds))
    return response


def _safe(wanted: str) -> str:
    """Return where to go after the login: a path of this server, and nothing else."""
    return wanted if _HERE.fullmatch(wanted) and len(wanted) <= 500 else _HOME
