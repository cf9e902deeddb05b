"""Secrets of the embedded stack, generated once and kept in a file that only its owner can read."""

import os
import secrets
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field


def _token() -> str:
    return secrets.token_urlsafe(24)


class Credentials(BaseModel):
    """All secrets of the embedded stack. They never appear in an argument list or a log."""

    model_config = ConfigDict(frozen=True)

    s3_access_key: str = Field(default_factory=lambda: "TORNIO" + secrets.token_hex(7).upper())
    s3_secret_key: str = Field(default_factory=_token, repr=False)
    redis_password: str = Field(default_factory=_token, repr=False)
    argilla_username: str = "owner"
    argilla_password: str = Field(default_factory=_token, repr=False)
    argilla_api_key: str = Field(default_factory=_token, repr=False)
    # It signs Argilla's logins. A new secret at every start would log everybody out.
    argilla_auth_secret: str = Field(default_factory=_token, repr=False)
    api_key: str = Field(default_factory=_token, repr=False)

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """Read `path`, or create it with mode 0600 from new random values, which also complete an older file."""
        credentials = cls.model_validate_json(path.read_bytes()) if path.exists() else cls()
        if credentials.model_fields_set != set(cls.model_fields):
            write_private(path, credentials.model_dump_json(indent=2))
        return credentials


def write_private(path: Path, text: str) -> None:
    """Replace `path` atomically by a file of mode 0600."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)
