"""Commands for the file of a server's API keys: make a key, list them, take one back. Only digests are written."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from tornio.api import TaskName
from tornio.cli import screen
from tornio.cli.connect import Json
from tornio.client import address
from tornio.errors import InvalidInput

FILE_VARIABLE = "TORNIO_API_KEYS_FILE"
"""As ``services.gateway.auth`` names it: the server and these commands use the same file."""
LIMITS = ("texts_per_second", "burst_texts", "concurrent_requests")
SECRET = ("key", "sha256")
"""Fields of an entry that are never shown."""

File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        help="JSON file with the server's keys.",
        show_default=f"that of {FILE_VARIABLE}, or of the `tornio up` here",
    ),
]
Name = Annotated[str, typer.Argument(help="Name of the key, such as that of the client that uses it.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Manage the API keys in a server's key file.")
    group.command("new")(new)
    group.command("list")(list_keys)
    group.command("revoke")(revoke)
    app.add_typer(group, name="keys")


def new(
    name: Name,
    workspace: Annotated[
        list[str] | None,
        typer.Option("--workspace", help="Workspace that it has access to; '*' is all. May be repeated."),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option("--task", help="Task that it has access to, instead of whole workspaces. May be repeated."),
    ] = None,
    role: Annotated[
        str,
        typer.Option(
            help="predict: classify texts and read the status. annotate: also add texts and labels. "
            "operate: everything that can be undone. admin: also delete and purge."
        ),
    ] = "predict",
    texts_per_second: Annotated[
        float | None, typer.Option(help="Texts a second that it may have predicted.", show_default="no limit")
    ] = None,
    burst_texts: Annotated[
        int | None,
        typer.Option(help="Texts that it may send at once after a pause.", show_default="ten seconds of the rate"),
    ] = None,
    concurrent_requests: Annotated[
        int | None,
        typer.Option(help="Requests for predictions that it may have at a time.", show_default="no limit"),
    ] = None,
    file: File = None,
    as_json: Json = False,
) -> None:
    """Make a key. It is shown once: the file has only its digest. A server reads the file again when it changes."""
    from services.gateway import key_file  # not at the top, because the client alone does not need it

    path, key = _path(file), secrets.token_urlsafe(32)
    limits = {
        "texts_per_second": texts_per_second,
        "burst_texts": burst_texts,
        "concurrent_requests": concurrent_requests,
    }
    given = {limit: value for limit, value in limits.items() if value is not None}
    rights = _places(workspace or [], task or []) | {"role": role} | given
    with key_file.changing(path) as entries:
        if any(entry["name"] == name for entry in entries):
            raise InvalidInput(f"{path} has a key named {name!r}. Choose another name, or revoke that key first.")
        entries.append({"name": name, "sha256": hashlib.sha256(key.encode()).hexdigest()} | rights)
    if as_json:
        screen.dump({"name": name, "key": key} | rights)
        return
    screen.say(key)
    screen.note(f"This key is not shown again. Its digest is in {path} as {name!r}; the client sets TORNIO_API_KEY.")


def _places(workspaces: list[str], tasks: list[str]) -> dict[str, Any]:
    """Return where a key has access, as the file has it. Tasks alone are in their own workspaces."""
    if not workspaces and not tasks:
        raise InvalidInput(
            "Where may the key be used? Give --workspace NAME, --workspace '*' or --task WORKSPACE/TASK."
        )
    own = sorted({TaskName.parse(task).workspace for task in tasks})
    return {"workspaces": workspaces or own} | ({"tasks": tasks} if tasks else {})


def list_keys(file: File = None, as_json: Json = False) -> None:
    """List the keys by name, with their workspaces and roles. Neither keys nor digests are shown."""
    from services.gateway import key_file  # not at the top, because the client alone does not need it

    entries = [
        {field: value for field, value in entry.items() if field not in SECRET}
        for entry in key_file.read(_path(file), missing=False)
    ]
    if as_json:
        screen.dump(entries)
        return
    for entry in entries:
        limits = [f"{limit} {entry[limit]}" for limit in LIMITS if entry.get(limit) is not None]
        places = ", ".join(entry.get("tasks") or entry["workspaces"])
        screen.say("; ".join([f"{entry['name']}: {entry['role']} in {places}", *limits]))


def revoke(name: Name, file: File = None) -> None:
    """Take a key back. Servers refuse it as soon as they have read the file again, which is at their next request."""
    from services.gateway import key_file  # not at the top, because the client alone does not need it

    path = _path(file)
    with key_file.changing(path, missing=False) as entries:
        if not any(entry["name"] == name for entry in entries):
            known = ", ".join(str(entry["name"]) for entry in entries) or "none"
            raise InvalidInput(f"{path} has no key named {name!r}. It has: {known}.")
        entries[:] = [entry for entry in entries if entry["name"] != name]
    screen.say(f"revoked {name}; {path} has {len(entries)} keys")
    if not entries:
        screen.note("Without keys, a server refuses every request.", style="yellow")


def _path(file: Path | None) -> Path:
    given = file or os.environ.get(FILE_VARIABLE)
    if given:
        return Path(given)
    state = address.local_state()
    if state is None:
        raise InvalidInput(
            f"Which file has the server's keys? Give --file, set {FILE_VARIABLE}, or run the command in the folder in "
            "which `tornio up` was started."
        )
    return state / address.KEYS_FILE
