"""Who may do what: API keys from a file or the environment, each with a name, its workspaces and a role.

A key file is a JSON list of ``{"name", "key" or "sha256", "workspaces": ["*"] or names, "role": "predict" or
"operate"}``. It is read again when it changes: rotation is adding the new key, moving clients over, and taking the
old one out. Only digests stay in memory; neither keys nor digests are ever logged.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError, model_validator

from tornio.errors import Forbidden, InvalidInput, Unauthorized

log = logging.getLogger(__name__)

FILE_VARIABLE = "TORNIO_API_KEYS_FILE"
VARIABLE = "TORNIO_API_KEYS"
INSECURE_VARIABLE = "TORNIO_INSECURE"


class Role(StrEnum):
    PREDICT = "predict"
    """Predictions, zero-shot, and reading the status of its workspaces."""
    OPERATE = "operate"
    """Everything in its workspaces."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking, once the key was found."""

    name: str
    workspaces: frozenset[str]
    role: Role

    def sees(self, workspace: str) -> bool:
        return "*" in self.workspaces or workspace in self.workspaces

    def check(self, role: Role, workspace: str | None = None) -> None:
        """Raises Forbidden unless this caller may act as ``role`` in the workspace (None: in any)."""
        if workspace is not None and not self.sees(workspace):
            raise Forbidden(
                f"the key {self.name!r} has no access to workspace {workspace!r}: "
                "ask whoever runs this server for a key with it"
            )
        if role is Role.OPERATE and self.role is not Role.OPERATE:
            raise Forbidden(
                f"the key {self.name!r} may only predict and read the status: "
                "ask whoever runs this server for a key with the role 'operate'"
            )


ANYBODY = Caller("anonymous", frozenset({"*"}), Role.OPERATE)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: str = Field(min_length=1)
    key: SecretStr | None = Field(None, min_length=16)
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    workspaces: list[str] = Field(min_length=1)
    role: Role

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.key is None) == (self.sha256 is None):
            raise ValueError("give either 'key' or 'sha256'")
        return self

    def digest(self) -> str:
        return self.sha256 or _digest(self.key.get_secret_value() if self.key else "")


_ENTRIES = TypeAdapter(list[_Entry])

Keys = tuple[tuple[str, Caller], ...]
"""Hex SHA-256 of each key, and whose it is."""


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def read_keys(text: str, where: str) -> Keys:
    """Read the JSON list of keys. Raises InvalidInput, whose message holds no part of any key."""
    try:
        entries = _ENTRIES.validate_python(json.loads(text))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise InvalidInput(f"{where}: entry {place}: {first['msg']}") from None
    except ValueError as error:
        raise InvalidInput(f"{where} is not JSON ({type(error).__name__}): it must be a list of API keys") from None
    names = [entry.name for entry in entries]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInput(f"{where}: the names {twice} are given twice")
    return tuple((entry.digest(), Caller(entry.name, frozenset(entry.workspaces), entry.role)) for entry in entries)


class KeySource(Protocol):
    """Where keys come from; asked at every request, so it must be quick."""

    def keys(self) -> Keys: ...


@dataclass(frozen=True, slots=True)
class FixedKeys:
    """Keys that do not change while the process lives."""

    fixed: Keys = ()

    def keys(self) -> Keys:
        return self.fixed


class KeyFile:
    """A file that is read again when it changes. What cannot be read is logged, and the last good keys go on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._keys = read_keys(self._text(), str(path))

    def keys(self) -> Keys:
        with self._lock:
            try:
                stamp = self._look()
                if stamp != self._stamp:
                    self._keys = read_keys(self._text(), str(self._path))
                    self._stamp = stamp
                    log.info("read %d API keys from %s", len(self._keys), self._path)
            except (InvalidInput, OSError) as error:
                log.error("API keys were not renewed, the old ones go on: %s", error)
            return self._keys

    def _look(self) -> tuple[int, int, int]:
        try:
            stat = self._path.stat()
        except OSError as error:
            raise InvalidInput(f"cannot read {FILE_VARIABLE}={self._path}: {error.strerror}") from error
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def _text(self) -> str:
        try:
            return self._path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"cannot read {FILE_VARIABLE}={self._path}: {type(error).__name__}") from None


class KeyRing:
    """Finds who is asking."""

    def __init__(self, source: KeySource, insecure: bool = False) -> None:
        self._source = source
        self._insecure = insecure

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> KeyRing:
        """Keys of TORNIO_API_KEYS_FILE, else of TORNIO_API_KEYS. Raises InvalidInput for keys that are no keys."""
        insecure = environ.get(INSECURE_VARIABLE) == "1"
        if path := environ.get(FILE_VARIABLE):
            return cls(KeyFile(Path(path)), insecure)
        if text := environ.get(VARIABLE):
            return cls(FixedKeys(read_keys(text, VARIABLE)), insecure)
        return cls(FixedKeys(), insecure)

    def caller(self, authorization: str | None) -> Caller:
        """Whose key an Authorization header carries. Raises Unauthorized.

        Every key is compared, each in constant time, so that the answer's timing tells nothing.
        """
        keys = self._source.keys()
        if not keys and self._insecure:
            return ANYBODY
        if not keys:
            raise Unauthorized(f"this server has no API keys yet: whoever runs it sets {FILE_VARIABLE} or {VARIABLE}")
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorized("no API key was given: send 'Authorization: Bearer <key>', or set TORNIO_API_KEY")
        digest = _digest(token.strip())
        found = None
        for known, caller in keys:
            if hmac.compare_digest(known, digest):
                found = caller
        if found is None:
            raise Unauthorized("the API key is unknown here: look at TORNIO_API_KEY and at the server's address")
        return found
