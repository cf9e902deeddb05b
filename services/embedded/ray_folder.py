"""The folder of Ray's session: its logs and the sockets of its parts, for the owner of the state folder alone.

By default this is /tmp/ray, in which any user of the machine can write.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

VARIABLE = "RAY_TMPDIR"
"""Ray's own variable: it makes its folder, `NAME`, in the folder that this names."""
NAME = "ray"
PREFIX = "tornio-ray-"
LONGEST = 107 - len("/session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store.12")
"""Bytes that the folder's path may have, because the path of a Unix socket has at most 107."""


def fresh(state: Path) -> Path:
    """Return a folder that only its owner can enter, in which `NAME` is empty. The last session's logs are removed.

    It is the state folder, which has mode 0700. If its path is too long for Ray's sockets, it is a new folder among the
    temporary files, and ``ray`` in the state folder is a link into it.
    """
    state = state.resolve()
    folder = state / NAME
    remove(state)
    inside = state if len(os.fsencode(folder)) <= LONGEST else Path(tempfile.mkdtemp(prefix=PREFIX))  # 0700
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
