"""Commands for the file of a server's API keys: make a key, list them, take one back. Only digests are written."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from tornio.api import TaskName
from tornio.cli import screen
from tornio.cli.connect import Json
from tornio.errors import InvalidFile, InvalidInput
from tornio.storage.files import appearing

FILE_VARIABLE = "TORNIO_API_KEYS_FILE"
"""As ``services.gateway.auth`` names it: the server and these commands use the same file."""
LIMITS = ("texts_per_second", "burst_texts", "concurrent_requests")
SECRET = ("key", "sha256")
"""Fields of an entry that are never shown."""

File = Annotated[
    Path | None,
    typer.Option("--file", help="JSON file with the server's keys.", show_default=f"that of {FILE_VARIABLE}"),
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
    path, key = _path(file), secrets.token_urlsafe(32)
    limits = {
        "texts_per_second": texts_per_second,
        "burst_texts": burst_texts,
        "concurrent_requests": concurrent_requests,
    }
    given = {limit: value for limit, value in limits.items() if value is not None}
    rights = _places(workspace or [], task or []) | {"role": role} | given
    with _changing(path) as entries:
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
    entries = [
        {field: value for field, value in entry.items() if field not in SECRET}
        for entry in _read(_path(file), missing=False)
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
    path = _path(file)
    with _changing(path, missing=False) as entries:
        if not any(entry["name"] == name for entry in entries):
            known = ", ".join(str(entry["name"]) for entry in entries) or "none"
            raise InvalidInput(f"{path} has no key named {name!r}. It has: {known}.")
        entries[:] = [entry for entry in entries if entry["name"] != name]
    screen.say(f"revoked {name}; {path} has {len(entries)} keys")
    if not entries:
        screen.note("Without keys, a server refuses every request.", style="yellow")


def _path(file: Path | None) -> Path:
    given = file or os.environ.get(FILE_VARIABLE)
    if not given:
        raise InvalidInput(f"Which file has the server's keys? Give --file, or set {FILE_VARIABLE}.")
    return Path(given)


def _read(path: Path, missing: bool = True) -> list[dict[str, Any]]:
    """Return the entries. ``missing``: a file that does not exist has none. Raises InvalidFile, InvalidInput."""
    from services.gateway.auth import read_keys  # not at the top, because the client alone does not need it

    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        if missing:
            return []
        raise InvalidFile(f"{path} does not exist. `tornio keys new` makes it.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidFile(f"{path} cannot be read: {error}") from error
    read_keys(text, str(path))
    return list(json.loads(text))


@contextmanager
def _changing(path: Path, missing: bool = True) -> Iterator[list[dict[str, Any]]]:
    """Yield the entries, and write them back whole if the caller raises nothing. One command at a time changes a file.

    A server never reads half a file, because the new one takes the old one's place. Only its owner may read it.
    """
    from services.gateway.auth import read_keys

    try:
        lock = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise InvalidFile(f"The folder of {path} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        entries = _read(path, missing)
        yield entries
        text = json.dumps(entries, ensure_ascii=False, indent=2) + "\n"
        read_keys(text, str(path))
        _replace(path, text)
    finally:
        os.close(lock)


def _replace(path: Path, text: str) -> None:
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    try:
        with appearing(path) as part:
            part.write_text(text, encoding="utf-8")
            part.chmod(mode)
    except OSError as error:
        raise InvalidFile(f"{path} cannot be written: {error.strerror}") from error
