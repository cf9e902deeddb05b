"""The object store of commands that do not use the server."""

from __future__ import annotations

import os
from pathlib import Path

from tornio.client.address import session_environment
from tornio.storage.environment import store_from_environment
from tornio.storage.local import LocalStore
from tornio.storage.port import ObjectStore

LOCAL_STORE = Path(".tornio") / "store"
"""Folder in which `tornio score` keeps its runs if no other store is configured."""


def use_store() -> None:
    """Set the store for jobs of this process: the configured one, that of ``tornio up``, or a folder here."""
    if os.environ.get("TORNIO_S3_BUCKET") or os.environ.get("TORNIO_STORE_DIR"):
        return
    os.environ.update(session_environment(Path.cwd()) or {"TORNIO_STORE_DIR": str(LOCAL_STORE.resolve())})


def is_default_folder() -> bool:
    """Whether ``use_store`` has chosen the folder here, which only this machine can read."""
    return os.environ.get("TORNIO_STORE_DIR") == str(LOCAL_STORE.resolve())


def session_store() -> ObjectStore | None:
    """Return the store of the `tornio up` here, which holds the runs without a task that no server lists."""
    session = session_environment(Path.cwd())
    if not session:
        return None
    os.environ.update(session)
    return store_from_environment()


def local_store() -> ObjectStore | None:
    """Return the folder that `tornio score` uses here, if it exists."""
    folder = Path(os.environ.get("TORNIO_STORE_DIR") or LOCAL_STORE)
    return LocalStore(folder) if folder.is_dir() and session_environment(Path.cwd()) is None else None
