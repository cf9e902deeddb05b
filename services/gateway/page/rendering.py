"""How the page is written: templates, who looks at it, and the headers that keep everything else out of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from fastapi import Response
from fastapi.responses import HTMLResponse, RedirectResponse
from markupsafe import Markup, escape
from starlette.types import Scope

from services.gateway.callers import ANYBODY, Caller, Role
from services.gateway.page import messages
from services.gateway.page.assets import address
from services.gateway.page.messages import Done
from services.gateway.page.words import FILTERS
from services.gateway.paths import app_path
from services.gateway.problems import Failure
from services.gateway.sessions.port import form_token
from tornio import __version__
from tornio.api import TaskName
from tornio.loop.phase import Phase
from tornio.pages import templates
from tornio.visible import visible

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every page: it loads nothing from elsewhere, runs no script that stands in it, and stays in no cache."""
_TASK = re.compile(r"/tasks/[^/]+/[^/]+")
TONES = {
    Phase.ATTENTION: "bad",
    Phase.PAUSED: "warn",
    Phase.STOPPED: "good",
    Phase.LABELLING: "accent",
    Phase.WAITING: "quiet",
    "unknown": "warn",
}
"""Classes of the badge of a phase. In all other phases, something is under way."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a page. ``form_token``: what the forms of the session carry; empty without a session."""

    caller: Caller
    form_token: str = ""

    @classmethod
    def of(cls, scope: Scope) -> Viewer | None:
        """Return who sent a request; None for somebody unknown."""
        state = scope.get("state", {})
        caller, session = state.get("caller"), state.get("session")
        return None if caller is None else cls(caller, form_token(session) if session else "")

    @property
    def name(self) -> str:
        """Name of the key."""
        return self.caller.name

    @property
    def role(self) -> str:
        return str(self.caller.role)

    @property
    def is_keyless(self) -> bool:
        """Whether the server has no keys, so that nobody logs in or out."""
        return self.caller is ANYBODY

    def may(self, role: str, task: TaskName) -> bool:
        """Whether the viewer may act as ``role``, such as ``operate``, on this task."""
        return self.caller.sees(task) and self.caller.role.includes(Role(role))


def with_commands(text: str) -> Markup:
    """Return a message, in which what stands between back-ticks is shown as code. All of it is escaped."""
    pieces = visible(text).split("`")
    if len(pieces) % 2 == 0:  # a back-tick without another one
        return escape(visible(text))
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if nth % 2 else escape(piece) for nth, piece in enumerate(pieces)
    )


_TEMPLATES = templates(Path(__file__).parent / "templates")
_TEMPLATES.filters["with_commands"] = with_commands
_TEMPLATES.globals |= {"asset": address, "release": __version__, "tone": lambda phase: TONES.get(phase, "busy")}
_TEMPLATES.filters |= FILTERS


def written(template: str, **values: object) -> str:
    """Return a page that nobody in particular looks at."""
    return _TEMPLATES.get_template(template).render(values)


def page(scope: Scope, template: str, status: int = HTTPStatus.OK, **values: object) -> Response:
    """Return a page. A template has ``viewer``, ``message`` from the table of messages, and these values.

    ``watched``: a ``Watched``, for a page that keeps itself up to date.
    """
    message = messages.said(scope)
    shown = {"viewer": Viewer.of(scope), "message": message, "watched": None} | values
    response = HTMLResponse(_TEMPLATES.get_template(template).render(shown), status, HEADERS)
    if message:
        response.headers.append("Set-Cookie", messages.forgotten(scope))
    return response


def see(address: str) -> Response:
    """Send the browser to another address of this server, which it gets with GET."""
    return RedirectResponse(address, HTTPStatus.SEE_OTHER, HEADERS)


def see_done(scope: Scope, address: str, done: Done) -> Response:
    """Send the browser to an address whose page says, once, what was done."""
    response = see(address)
    response.headers.append("Set-Cookie", messages.announced(scope, done, address))
    return response


def show_failure(scope: Scope, failure: Failure) -> Response:
    """Show a person why a request failed. Somebody who is not logged in is sent to the login, and from there back."""
    if failure.status == HTTPStatus.UNAUTHORIZED:
        wanted = scope.get("query_string", b"").decode("latin-1")
        here = app_path(scope) + (f"?{wanted}" if wanted else "")
        return see(f"/login?next={quote(here, safe='/')}" if scope["method"] == "GET" and here != "/" else "/login")
    task = _TASK.match(app_path(scope)) if failure.status not in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND) else None
    back = task[0] if task else None
    response = page(scope, "failure.html.j2", failure.status, failure=failure, back=back)
    response.headers.update(failure.headers)
    return response
