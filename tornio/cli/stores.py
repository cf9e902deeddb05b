"""Which store commands work with that ask no server."""

from __future__ import annotations

import os
from pathlib import Path

from tornio.client.address import session_environment
from tornio.storage.environment import store_from_environment
from tornio.storage.local import LocalStore
from tornio.storage.port import ObjectStore

LOCAL_STORE = Path(".tornio") / "store"
"""Where `tornio score` keeps its runs when nothing says otherwise."""


def use_store() -> None:
    """Let jobs of this process find a store: one that is set, the one of ``tornio up``, or a folder here."""
    if os.environ.get("TORNIO_S3_BUCKET") or os.environ.get("TORNIO_STORE_DIR"):
        return
    os.environ.update(session_environment(Path.cwd()) or {"TORNIO_STORE_DIR": str(LOCAL_STORE.resolve())})


def is_default_folder() -> bool:
    """Whether ``use_store`` has chosen the folder here, which is on this machine alone."""
    return os.environ.get("TORNIO_STORE_DIR") == str(LOCAL_STORE.resolve())


def session_store() -> ObjectStore | None:
    """That of the `tornio up` here, where `tornio score` keeps its runs of no task, of which no server tells."""
    session = session_environment(Path.cwd())
    if not session:
        return None
    os.environ.update(session)
    return store_from_environment()


def local_store() -> ObjectStore | None:
    """The folder that `tornio score` uses here, where there is one."""
    folder = Path(os.environ.get("TORNIO_STORE_DIR") or LOCAL_STORE)
    return LocalStore(folder) if folder.is_dir() and session_environment(Path.cwd()) is None else None
