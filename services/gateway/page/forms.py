"""What a form sends, if it is one of this server's own pages that sent it."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from services.gateway.sessions.port import form_token
from tornio.errors import Forbidden, InvalidInput

_KIND = "application/x-www-form-urlencoded"
_FIELDS = 20
_ELSEWHERE = (
    "This form was not sent by a page of this server, so nothing was done. Open the page again, and send the form from "
    "there. Clients other than browsers use the API: see /docs."
)


async def read_form(request: Request) -> Mapping[str, str]:
    """Return the fields of a form. Raises Forbidden for one that a page of another site sent, and InvalidInput."""
    check_origin(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _KIND:
        raise InvalidInput(f"This address takes a form of this server's pages, of the type {_KIND}.")
    try:
        body = (await request.body()).decode("ascii")
        return dict(parse_qsl(body, keep_blank_values=True, errors="strict", max_num_fields=_FIELDS))
    except ValueError:  # also of decoding
        raise InvalidInput("The form cannot be read. Open the page again, and send the form from there.") from None


async def _sent(request: Request) -> Mapping[str, str]:
    fields = await read_form(request)
    session = getattr(request.state, "session", None)
    given = fields.get("form_token", "").encode()
    if session is not None and not hmac.compare_digest(form_token(session).encode(), given):
        raise Forbidden(_ELSEWHERE)
    return fields


Sent = Annotated[Mapping[str, str], Depends(_sent)]
"""The fields of a form that carries the token of its session. A server without keys has no sessions: there, the page
that sent it must be this server's, and ``KeyRing.admit`` has looked at Host."""


def check_origin(request: Request) -> None:
    """Raises Forbidden for a request that a page of another site made the browser send, or that names no page.

    Every browser says where a form came from. ``Sec-Fetch-Site`` is the browser's own judgement; older ones send
    ``Origin`` alone.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin", "")
    same = origin.lower().partition("://")[2] == request.headers.get("host", "").lower()
    if not (site == "same-origin" if site is not None else origin and same):
        raise Forbidden(_ELSEWHERE)
