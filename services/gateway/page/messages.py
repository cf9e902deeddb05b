"""What the page says after something was done: once, at the address that the answer to a form leads to.

The answer puts the name of the message and that address into a cookie. So only this server can make a message appear,
and no link can.
"""

from __future__ import annotations

from enum import StrEnum

from starlette.types import Scope

from services.gateway.paths import app_path
from services.gateway.sessions import cookies

_COOKIE = "tornio-done"
_SECONDS = 60
"""For which the browser keeps a message that it does not get to show."""


class Done(StrEnum):
    """What was done."""

    LOGGED_OUT = "logged-out"
    PAUSED = "paused"
    RESUMED = "resumed"
    TRAINING = "training"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled-back"


MESSAGES = {
    Done.LOGGED_OUT: "You are logged out.",
    Done.PAUSED: "The task is paused. Runs that are under way end, and predictions go on.",
    Done.RESUMED: "The task goes on.",
    Done.TRAINING: "The task trains with the present labels as soon as the run that is under way has ended.",
    Done.PROMOTED: "The version serves as soon as replicas have loaded it. Nothing newer follows until you resume it.",
    Done.ROLLED_BACK: "The version that served before serves again. Nothing is promoted until you resume the task.",
}


def announced(scope: Scope, done: Done, address: str) -> str:
    """Return the ``Set-Cookie`` that makes the page at this address say what was done."""
    return cookies.kept(scope, _COOKIE, f"{done}:{address}", _SECONDS)


def said(scope: Scope) -> str:
    """Return the message for the page that a request asks for. Empty if there is none."""
    name, _, address = cookies.value_of(scope, _COOKIE).partition(":")
    return next((text for done, text in MESSAGES.items() if done == name and address == app_path(scope)), "")


def forgotten(scope: Scope) -> str:
    """Return the ``Set-Cookie`` after which no message is shown again."""
    return cookies.kept(scope, _COOKIE, "", 0)
