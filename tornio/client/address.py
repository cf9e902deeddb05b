"""Find the server's address and API key: from arguments, the environment, or a running ``tornio up``."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tornio.client import stacks
from tornio.errors import Conflict, InvalidInput, NotFound

URL_VARIABLE = "TORNIO_URL"
KEY_VARIABLE = "TORNIO_API_KEY"
KEY_FILE_VARIABLE = "TORNIO_API_KEY_FILE"
STATE_VARIABLE = "TORNIO_STATE"
STATE_FOLDER = Path(".tornio")
"""The state folder of ``tornio up``, in the folder that it was started in, if TORNIO_STATE names no other one."""
SESSION_FILE = "session.json"
"""In the state folder while ``tornio up`` runs, with mode 0600. A JSON object with ``url`` and ``api_key``."""
LOCK_FILE = "lock"
"""In the state folder: the process id of the ``tornio up`` that runs, or of the last one."""
CREDENTIALS_FILE = "credentials.json"
"""In the state folder since the first start of ``tornio up``."""
KEYS_FILE = "keys.json"
"""In the state folder: the keys that the application of ``tornio up`` accepts, as `tornio keys` writes them."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Address:
    url: str
    api_key: str | None = field(repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Environment variables of a session, for jobs that run beside its server."""


def find(
    url: str | None = None,
    api_key: str | None = None,
    environ: Mapping[str, str] = os.environ,
    start: Path | None = None,
) -> Address:
    """Return the address and key to use.

    Without an address, it is that of the ``tornio up`` of TORNIO_STATE, of ``start`` or of a folder above it, or else
    of the only one that runs. The key of a session is only sent to the session's own address.

    Raises NotFound if the address of the server is not known, Conflict if several are running and none is chosen,
    InvalidInput for a key file that cannot be used, or for such a session file of TORNIO_STATE, of ``start`` or of a
    folder above it. A ``tornio up`` elsewhere with such a file is left out, with a warning in the log.
    """
    url = url or environ.get(URL_VARIABLE) or None
    key = api_key or environ.get(KEY_VARIABLE) or _key_of_file(environ.get(KEY_FILE_VARIABLE))
    if url and key:
        return Address(_checked(url), _plain(key))
    if url is None:
        _check_not_starting(start or Path.cwd(), environ)
    sessions = _sessions(start or Path.cwd(), environ)
    if url is None:
        if not sessions:
            raise NotFound(_nowhere(start or Path.cwd(), environ))
        session = _only(sessions)
        return Address(session.url, _plain(key or session.api_key))
    same = next((session for session in sessions.values() if session.url == _checked(url)), None)
    return Address(_checked(url), _plain(key or (same.api_key if same else None)))


def session_environment(
    start: Path | None = None, environ: Mapping[str, str] = os.environ, *, anywhere: bool = False
) -> Mapping[str, str] | None:
    """Return the variables for store and Argilla of the ``tornio up`` here; None if there is no session.

    ``anywhere``: or else of the only one that runs. Then it raises Conflict if there are several.
    """
    if anywhere:
        sessions = _sessions(start or Path.cwd(), environ)
        return _only(sessions).environment if sessions else None
    here = _session(start or Path.cwd(), environ)
    return None if here is None else here[1].environment


def local_state(start: Path | None = None, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the state folder of the ``tornio up`` that is meant here, None if there is none.

    It is the folder of TORNIO_STATE, if that is set and exists. Otherwise it is the one in this folder or in the
    nearest above it that was ever started, whether it runs or not, or else the only one that runs. Raises Conflict if
    several run elsewhere, and InvalidInput for a folder here that belongs to another user.
    """
    start = start or Path.cwd()
    named = environ.get(STATE_VARIABLE)
    for state in _states(start, environ):
        if state.is_dir() if named else (state / CREDENTIALS_FILE).is_file():
            if state.stat().st_uid != os.getuid():
                raise InvalidInput(f"{state} belongs to another user. Give --file, or run `tornio up` yourself.")
            return state
    sessions = _sessions(start, environ)
    if not sessions:
        return None
    _only(sessions)
    return next(iter(sessions))


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the state folder that is used here: that of TORNIO_STATE, or ``.tornio`` in this folder."""
    return Path(environ.get(STATE_VARIABLE) or STATE_FOLDER)


def looked_in(start: Path | None = None, environ: Mapping[str, str] = os.environ) -> str:
    """Say where a session of ``tornio up`` is looked for first, for the message that there is none."""
    if environ.get(STATE_VARIABLE):
        return f"{state_folder(environ).resolve() / SESSION_FILE} (from {STATE_VARIABLE})"
    return f"{STATE_FOLDER / SESSION_FILE} in {start or Path.cwd()} and the folders above it"


def _nowhere(start: Path, environ: Mapping[str, str]) -> str:
    chosen = f" with this {STATE_VARIABLE}" if environ.get(STATE_VARIABLE) else ""
    elsewhere = "" if chosen else ", and no other `tornio up` of yours can be used on this machine"
    return (
        f"Tornio is not running here. Start it with `tornio up`{chosen}, or give the address of a server in "
        f"{URL_VARIABLE} or --url. There is no {looked_in(start, environ)}{elsewhere}."
    )


def _check_not_starting(start: Path, environ: Mapping[str, str]) -> None:
    """Raises NotFound if the ``tornio up`` here is starting, so that no other one is taken for it."""
    if _session(start, environ) is not None:
        return
    for state in _states(start, environ):
        if (pid := _up_of(state)) is not None:
            raise NotFound(f"The `tornio up` of {state} (process {pid}) is starting or ending. Try again in a moment.")


def _up_of(state: Path) -> int | None:
    """The process id of the ``tornio up`` of a state folder that has no session yet, or none any more."""
    try:
        pid = int((state / LOCK_FILE).read_text("ascii"))
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    is_tornio = any(word.endswith(b"tornio") for word in words)
    return pid if is_tornio and b"up" in words else None  # otherwise, another process has its number by now


def _checked(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise InvalidInput(f"{url!r} is not a valid address. It must begin with http:// or https://.")
    return url.rstrip("/")


def _plain(key: str | None) -> str | None:
    if key is not None and not (key.isascii() and key.isprintable()):
        raise InvalidInput("The API key contains invalid characters. Copy it again.")
    return key


def _key_of_file(path: str | None) -> str | None:
    if not path:
        return None
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"Cannot read {KEY_FILE_VARIABLE}={path}: {type(error).__name__}") from error


def _states(start: Path, environ: Mapping[str, str]) -> list[Path]:
    """The state folders that may be meant here, the nearest first."""
    named = environ.get(STATE_VARIABLE)
    return [Path(named)] if named else [folder / STATE_FOLDER for folder in (start, *start.parents)]


def _session(start: Path, environ: Mapping[str, str]) -> tuple[Path, Address] | None:
    for state in _states(start, environ):
        path = state / SESSION_FILE
        if path.is_file():
            return state, _read_session(path)
    return None


def _sessions(start: Path, environ: Mapping[str, str]) -> dict[Path, Address]:
    """The sessions that may be meant, by state folder: the one here, or else all that run and can be used."""
    here = _session(start, environ)
    if here is not None:
        return dict([here])
    if environ.get(STATE_VARIABLE):
        return {}
    found = {state: _session_elsewhere(state / SESSION_FILE) for state in stacks.running(environ)}
    return {state: session for state, session in found.items() if session is not None}


def _session_elsewhere(path: Path) -> Address | None:
    """The session of a stack that nobody named; None if it is still starting, or if its file cannot be used."""
    try:
        return _read_session(path) if path.is_file() else None
    except (InvalidInput, OSError) as error:  # it must not stop a command that is meant for another server
        _log.warning("A `tornio up` is left out, because its file %s cannot be used: %s", path, error)
        return None


def _only(sessions: Mapping[Path, Address]) -> Address:
    """Raises Conflict if there are several."""
    if len(sessions) > 1:
        listed = "; ".join(f"{state} ({session.url})" for state, session in sessions.items())
        raise Conflict(
            f"{len(sessions)} of your `tornio up` are running: {listed}. To choose one, set {STATE_VARIABLE} to its "
            "folder, or run the command in the folder in which it was started."
        )
    return next(iter(sessions.values()))


def _read_session(path: Path) -> Address:
    stat = path.stat()
    if stat.st_uid != os.getuid():
        raise InvalidInput(f"{path} belongs to another user. Set {URL_VARIABLE}, or run `tornio up` yourself.")
    if stat.st_mode & 0o077:
        raise InvalidInput(f"{path} holds a key but is readable by others. Run: chmod 600 {path}")
    try:
        values = json.loads(path.read_text("utf-8"))
        return Address(_checked(values["url"]), values.get("api_key"), dict(values.get("environment", {})))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"{path} is not a valid file of `tornio up`. Delete it and start `tornio up` again."
        ) from error
