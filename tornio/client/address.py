"""Where the server is and which key opens it: what was given, else the environment, else what ``tornio up`` left."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tornio.errors import InvalidInput, NotFound

URL_VARIABLE = "TORNIO_URL"
KEY_VARIABLE = "TORNIO_API_KEY"
KEY_FILE_VARIABLE = "TORNIO_API_KEY_FILE"
SESSION_FILE = Path(".tornio") / "session.json"
"""Written by ``tornio up`` with mode 0600: a JSON object with ``url`` and ``api_key``."""


@dataclass(frozen=True, slots=True)
class Address:
    url: str
    api_key: str | None = field(repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Of a session: what jobs need that run beside its server."""


def find(
    url: str | None = None,
    api_key: str | None = None,
    environ: Mapping[str, str] = os.environ,
    start: Path | None = None,
) -> Address:
    """The address and key to use.

    A session's key goes to the session's own address and to no other. Raises NotFound where nothing says where the
    server is, InvalidInput for a key file or a session file that cannot be used.
    """
    url = url or environ.get(URL_VARIABLE) or None
    key = api_key or environ.get(KEY_VARIABLE) or _key_of_file(environ.get(KEY_FILE_VARIABLE))
    if url and key:
        return Address(_checked(url), _plain(key))
    session = _session(start or Path.cwd())
    if url is None:
        if session is None:
            raise NotFound(
                f"no server: set {URL_VARIABLE} (or give --url), or run `tornio up` and work below its folder"
            )
        return Address(session.url, _plain(key or session.api_key))
    same = session is not None and session.url == _checked(url)
    return Address(_checked(url), _plain(key or (session.api_key if session and same else None)))


def session_environment(start: Path) -> Mapping[str, str] | None:
    """Where the store and Argilla of the ``tornio up`` here are, as variables; None where none runs."""
    session = _session(start)
    return None if session is None else session.environment


def _checked(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise InvalidInput(f"{url!r} is no address: it must begin with http:// or https://")
    return url.rstrip("/")


def _plain(key: str | None) -> str | None:
    if key is not None and not (key.isascii() and key.isprintable()):
        raise InvalidInput("the API key holds characters that no key has: copy it again")
    return key


def _key_of_file(path: str | None) -> str | None:
    if not path:
        return None
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot read {KEY_FILE_VARIABLE}={path}: {type(error).__name__}") from error


def _session(start: Path) -> Address | None:
    for folder in (start, *start.parents):
        path = folder / SESSION_FILE
        if path.is_file():
            return _read_session(path)
    return None


def _read_session(path: Path) -> Address:
    stat = path.stat()
    if stat.st_uid != os.getuid():
        raise InvalidInput(f"{path} belongs to another user: set {URL_VARIABLE}, or run `tornio up` yourself")
    if stat.st_mode & 0o077:
        raise InvalidInput(f"{path} holds a key and is open to others: chmod 600 {path}")
    try:
        values = json.loads(path.read_text("utf-8"))
        return Address(_checked(values["url"]), values.get("api_key"), dict(values.get("environment", {})))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"{path} is not what `tornio up` writes: delete it and start `tornio up` again") from error
