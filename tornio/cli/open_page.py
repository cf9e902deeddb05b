"""``tornio open``: show the page of the server, of a task, or of its annotation, in the browser."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

import typer

from tornio.api import TaskName
from tornio.cli import screen
from tornio.cli.connect import Context, Json, MaybeTask, Url, connect
from tornio.client import Client
from tornio.errors import InvalidInput, NotFound, TornioError

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")
_REMOTE = ("SSH_CONNECTION", "SSH_TTY")


def open_page(
    ctx: Context,
    task: MaybeTask = None,
    annotate: Annotated[
        bool, typer.Option("--annotate", help="Open Argilla, where the texts of the task are labelled.")
    ] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Open the web page of the server or of a task in the browser, and print its address.

    Where there is no browser, it only prints the address. The page asks for the API key, which is never part of an
    address.
    """
    named = None if task is None else TaskName.parse(task)
    with connect(ctx, url) as client:
        if named is None and annotate:
            raise InvalidInput("--annotate opens the texts of one task. Give its name: tornio open WORKSPACE/TASK")
        if named is None:
            address = client.url + "/"
        elif annotate:
            address = client.status(str(named)).annotate_url or ""
        else:
            _check_exists(client, str(named))
            address = f"{client.url}/tasks/{named.workspace}/{named.task}"
    if not address:
        raise NotFound(f"{named} has nothing to annotate yet. `tornio status {named}` says what it waits for.")
    address = without_user(address)
    opened = not no_browser and has_browser() and shown(address)
    if as_json:
        screen.dump({"url": address, "opened": opened})
    else:
        screen.say(address)


def _check_exists(client: Client, task: str) -> None:
    """Raises NotFound for a task that does not exist. Whoever may not ask, or cannot now, may still open the page."""
    try:
        client.status(task)
    except NotFound:
        raise
    except TornioError as error:
        screen.note(f"whether {task} exists is not known: {error}", style="yellow")


def has_browser(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Whether a browser can show a page to the user: not through SSH, and not without a display.

    A browser that the variable BROWSER names is always used.
    """
    if environ.get("BROWSER"):
        return True
    if any(environ.get(name) for name in _REMOTE):
        return False
    return platform in ("darwin", "win32") or any(environ.get(name) for name in _DISPLAYS)


def shown(address: str) -> bool:
    """Open the address in the browser. Returns whether that worked."""
    try:
        return webbrowser.open(address)
    except (webbrowser.Error, OSError) as error:
        screen.note(f"the browser cannot be opened: {error}", style="yellow")
        return False


def without_user(address: str) -> str:
    """Return the address of a web page without a name and password in it. Raises InvalidInput for another address."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https"):
        raise InvalidInput(f"{address!r} is not the address of a web page")
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
