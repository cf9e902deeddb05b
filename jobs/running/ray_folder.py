"""A Ray for one user alone: the folder of its session, with logs and sockets, and the token that it asks for.

By default the folder is /tmp/ray, in which any user of the machine can write.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from pathlib import Path

VARIABLE = "RAY_TMPDIR"
"""Ray's own variable: it makes its folder, `NAME`, in the folder that this names."""
NAME = "ray"
PREFIX = "tornio-ray-"
SHORT = "/tmp"  # noqa: S108 - only for new folders of mode 0700
"""Where a folder has a short path. That of TMPDIR may be long."""
TOKEN = "ray-token"  # noqa: S105 - the name of its file
LONGEST = 107 - len("/session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store.12")
"""Bytes that the folder's path may have, because the path of a Unix socket has at most 107."""


def private(state: Path) -> dict[str, str]:
    """Make a new token and an empty folder in ``state``, which exists. Return the variables by which Ray uses them."""
    token = state / TOKEN
    token.unlink(missing_ok=True)
    with os.fdopen(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), VARIABLE: str(fresh(state))}


def fresh(state: Path) -> Path:
    """Return a folder that only its owner can enter, in which `NAME` is empty. The last session's logs are removed.

    It is the state folder, which has mode 0700. If its path is too long for Ray's sockets, it is a new folder in
    `SHORT`, with this mode, and ``ray`` in the state folder is a link into it.
    """
    state = state.resolve()
    folder = state / NAME
    remove(state)
    inside = state if len(os.fsencode(folder)) <= LONGEST else Path(tempfile.mkdtemp(prefix=PREFIX, dir=SHORT))
    (inside / NAME).mkdir(mode=0o700)
    if inside != state:
        folder.symlink_to(inside / NAME)
    return inside


def remove(state: Path) -> None:
    """Remove what `fresh` made for this state folder."""
    folder = state / NAME
    if folder.is_symlink():
        outside = folder.readlink().parent
        folder.unlink()
        if outside.name.startswith(PREFIX) and not outside.is_symlink() and _is_ours(outside):
            shutil.rmtree(outside)
    elif folder.exists():
        shutil.rmtree(folder)


def _is_ours(folder: Path) -> bool:
    return folder.is_dir() and folder.stat().st_uid == os.getuid()
