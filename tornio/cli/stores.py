"""The object store of commands that do not use the server."""

from __future__ import annotations

import os
from pathlib import Path

from tornio.client.address import session_environment, state_folder
from tornio.storage.environment import store_from_environment
from tornio.storage.local import LocalStore
from tornio.storage.port import ObjectStore


def folder_store() -> Path:
    """Return the folder in which `tornio score` keeps its runs if no other store is configured."""
    return state_folder().resolve() / "store"


def use_store() -> None:
    """Set the store for jobs of this process: the configured one, that of ``tornio up``, or a folder here."""
    if not _is_configured():
        os.environ.update(session_environment() or {"TORNIO_STORE_DIR": str(folder_store())})


def is_default_folder() -> bool:
    """Whether ``use_store`` has chosen the folder here, which only this machine can read."""
    return os.environ.get("TORNIO_STORE_DIR") == str(folder_store())


def known_store() -> ObjectStore | None:
    """Return the store that `tornio score` uses here, which holds the runs without a task that no server lists.

    None: nothing is configured, and `tornio score` has stored nothing in this folder.
    """
    if not _is_configured() and not session_environment():
        return LocalStore(folder_store()) if folder_store().is_dir() else None
    use_store()
    return store_from_environment()


def _is_configured() -> bool:
    return bool(os.environ.get("TORNIO_S3_BUCKET") or os.environ.get("TORNIO_STORE_DIR"))
