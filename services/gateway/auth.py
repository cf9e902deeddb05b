"""Who may do what: API keys from a file or the environment, each with a name, its workspaces and a role.

A key file is a JSON list of `Entry`. It is read again when it changes. To rotate a key, add the new key, move the
clients over, and remove the old key. Only digests stay in memory; neither keys nor digests are ever logged.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from services.gateway.callers import ANYBODY, EVERYWHERE, Caller, Role
from services.limits.port import KeyLimits
from tornio.api import TaskName
from tornio.errors import Forbidden, InvalidInput, Unauthorized
from tornio.spec import NAME_PATTERN

log = logging.getLogger(__name__)

FILE_VARIABLE = "TORNIO_API_KEYS_FILE"
VARIABLE = "TORNIO_API_KEYS"
INSECURE_VARIABLE = "TORNIO_INSECURE"


MAX_KEY = 4096
"""Characters of a key: more do not fit into a request's headers on every way to this server."""
_SENDABLE = re.compile(r"[!-~]([ -~]*[!-~])?")


class Entry(BaseModel):
    """A key in the file."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: str = Field(min_length=1, description="Name of the key, which logs and messages show.")
    key: SecretStr | None = Field(
        None, min_length=16, max_length=MAX_KEY, description="The key itself, if `sha256` is not given."
    )
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="Hex SHA-256 of the key, so that the key is not in the file."
    )
    workspaces: list[str] = Field(
        min_length=1, description="Workspaces that the key has access to; `*` stands for all."
    )
    tasks: list[str] | None = Field(
        None,
        min_length=1,
        description="The only tasks in these workspaces that it has access to, by their full names. Default: all.",
    )
    role: Role = Field(description="What the key may do: `predict`, `annotate`, `operate` or `admin`.")

    texts_per_second: float | None = Field(
        None,
        gt=0,
        le=1e9,
        allow_inf_nan=False,
        description="Texts a second that it may have predicted, over all gateways and protocols. Default: no limit.",
    )
    burst_texts: int | None = Field(
        None,
        ge=1,
        description="Texts that it may send at once after a pause. Default: ten seconds of `texts_per_second`, so that "
        "requests may come in bunches.",
    )
    concurrent_requests: int | None = Field(
        None,
        ge=1,
        description="Requests for predictions that it may have under way at a time, over all gateways. Default: no "
        "limit beside that of each replica (`TORNIO_CLASSIFIER_CLIENT_SHARE`).",
    )

    @field_validator("workspaces")
    @classmethod
    def _name_workspaces(cls, names: list[str]) -> list[str]:
        for name in names:
            if name != EVERYWHERE and not re.fullmatch(NAME_PATTERN, name):
                raise ValueError(
                    f"{name!r} is neither '*' nor a workspace's name: write lower-case letters, digits, '-' and '_'"
                )
        return names

    @field_validator("tasks")
    @classmethod
    def _name_tasks(cls, names: list[str] | None) -> list[str] | None:
        try:
            for name in names or ():
                TaskName.parse(name)
        except InvalidInput as error:
            raise ValueError(str(error)) from None  # to pydantic, which names the entry
        return names

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.key is None) == (self.sha256 is None):
            raise ValueError("give either 'key' or 'sha256'")
        if self.key is not None and not _SENDABLE.fullmatch(self.key.get_secret_value()):
            raise ValueError(
                "the key can never match, because no request can carry it: use ASCII letters, digits and signs, "
                "without white space at either end"
            )
        if self.sha256 == key_digest(""):
            raise ValueError("'sha256' is the digest of nothing: give the digest of the key")
        everywhere = self.caller.workspaces | {task.workspace for task in self.caller.tasks or ()}
        if EVERYWHERE not in self.workspaces and everywhere != self.caller.workspaces:
            raise ValueError("'tasks' names a task outside of 'workspaces', so the key could never reach it")
        if self.burst_texts is not None and self.texts_per_second is None:
            raise ValueError("'burst_texts' has no effect without 'texts_per_second'")
        return self

    @property
    def caller(self) -> Caller:
        """Who holds the key."""
        tasks = None if self.tasks is None else frozenset(map(TaskName.parse, self.tasks))
        limits = KeyLimits(self.texts_per_second, self.burst_texts, self.concurrent_requests)
        return Caller(self.name, frozenset(self.workspaces), self.role, tasks, limits)

    def digest(self) -> str:
        return self.sha256 or key_digest(self.key.get_secret_value() if self.key else "")


_ENTRIES = TypeAdapter(list[Entry])

Keys = tuple[tuple[str, Caller], ...]
"""Hex SHA-256 of each key, and its holder."""


def key_digest(token: str) -> str:
    """Return the hex SHA-256 of a key, which stands for it everywhere in this process."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def read_keys(text: str, where: str) -> Keys:
    """Read the JSON list of keys. Raises InvalidInput, whose message holds no part of any key."""
    try:
        entries = _ENTRIES.validate_python(json.loads(text))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise InvalidInput(f"{where}: entry {place}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{where} is not JSON ({type(error).__name__}). It must be a list of API keys.") from None
    names = [entry.name for entry in entries]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInput(f"{where}: the names {twice} are given twice. Give each key a name of its own.")
    holders: dict[str, str] = {}
    for entry in entries:
        if (other := holders.setdefault(entry.digest(), entry.name)) != entry.name:
            raise InvalidInput(f"{where}: {other!r} and {entry.name!r} have the same key. Give each a key of its own.")
    return tuple((entry.digest(), entry.caller) for entry in entries)


class KeySource(Protocol):
    """Where keys come from. It is asked at every request, so it must be quick."""

    def keys(self) -> Keys: ...


@dataclass(frozen=True, slots=True)
class FixedKeys:
    """Keys that do not change while the process lives."""

    fixed: Keys = ()

    def keys(self) -> Keys:
        return self.fixed


class KeyFile:
    """A file that is read again when it changes. If that fails, it is logged once and the last good keys stay valid."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp = self._state()
        self._keys = read_keys(self._text(), str(path))
        self._trouble = ""

    def keys(self) -> Keys:
        with self._lock:
            try:
                stamp = self._state()
                if stamp != self._stamp:
                    text = self._text()
                    self._stamp = stamp  # what is no list of keys is not read again before it changes
                    self._keys = read_keys(text, str(self._path))
                    self._trouble = ""
                    log.info("read %d API keys from %s", len(self._keys), self._path)
            except InvalidInput as error:
                if str(error) != self._trouble:
                    log.error("The API keys were not renewed, so the old ones go on: %s", error)
                self._trouble = str(error)
            return self._keys

    def _state(self) -> tuple[int, int, int]:
        try:
            stat = self._path.stat()
        except OSError as error:
            raise InvalidInput(f"{FILE_VARIABLE}={self._path} cannot be read: {error.strerror}.") from error
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def _text(self) -> str:
        try:
            return self._path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"{FILE_VARIABLE}={self._path} cannot be read: {type(error).__name__}.") from None


class KeyRing:
    """The keys of this server: finds the caller of a request, in any protocol."""

    def __init__(self, source: KeySource, insecure: bool = False) -> None:
        self._source = source
        self._insecure = insecure

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> KeyRing:
        """Return the keys of TORNIO_API_KEYS_FILE, else of TORNIO_API_KEYS. Raises InvalidInput for invalid keys."""
        insecure = environ.get(INSECURE_VARIABLE) == "1"
        if path := environ.get(FILE_VARIABLE):
            return cls(KeyFile(Path(path)), insecure)
        if text := environ.get(VARIABLE):
            return cls(FixedKeys(read_keys(text, VARIABLE)), insecure)
        return cls(FixedKeys(), insecure)

    def admit(self, authorization: str | None, host: str, origin: str | None = None) -> Caller:
        """Return the caller of a request. Raises Unauthorized or Forbidden for a request that must be refused.

        Every protocol calls this with what its requests carry, such as HTTP headers or gRPC metadata.
        ``authorization``: ``Bearer <key>``. ``host``: the address that the client used. ``origin``: the page that
        made a browser send the request. Only a server without keys looks at ``host`` and ``origin``.
        """
        caller = self.caller(authorization)
        if caller is ANYBODY:
            check_local(host, origin)
        return caller

    def caller(self, authorization: str | None) -> Caller:
        """Return the holder of the key in an Authorization header. Raises Unauthorized."""
        if self.is_keyless:
            return ANYBODY
        scheme, _, token = (authorization or "").partition(" ")
        given = scheme.lower() == "bearer" and token.strip()
        holder = self.holder(key_digest(token.strip())) if given else None
        if holder is not None:
            return holder
        if not self._source.keys():
            raise Unauthorized(f"This server has no API keys yet. Its operator must set {FILE_VARIABLE} or {VARIABLE}.")
        if not given:
            raise Unauthorized("The request has no API key. Send 'Authorization: Bearer <key>', or set TORNIO_API_KEY.")
        raise Unauthorized("The API key is unknown to this server. Check TORNIO_API_KEY and the server's address.")

    @property
    def is_keyless(self) -> bool:
        """Whether the server has no keys and answers to everybody on this machine."""
        return self._insecure and not self._source.keys()

    def holder(self, digest: str) -> Caller | None:
        """Return the holder of the key with this hex SHA-256, None if there is none now.

        Every key is compared, each in constant time, so that the answer's timing reveals nothing.
        """
        holder, keys = None, self._source.keys()
        for known, caller in keys:
            if hmac.compare_digest(known, digest):
                holder = caller
        return holder


def check_local(host: str, origin: str | None) -> None:
    """Raises Forbidden for a request that a page of another site made a browser send to a server without keys.

    Such a page cannot choose Host: a page whose own name resolves to this server is named there. And browsers name
    the page in Origin with every request that could change something.
    """
    if not _is_loopback(host):
        raise Forbidden(
            f"This server has no API keys, so it answers to 127.0.0.1 and localhost only, not to {host[:80]!r}. "
            "Use that address, or start the server with keys."
        )
    if origin is not None and origin.lower().partition("://")[2] != host.lower():
        raise Forbidden(
            f"This server has no API keys, so it takes no requests from pages of {origin[:80]!r}. "
            "Start the server with keys."
        )


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
