"""A Ray of our own works in a folder of its owner alone and asks for a token."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray")
_raylet: Any = pytest.importorskip("ray._raylet")

from jobs.running import driver  # noqa: E402

pytestmark = pytest.mark.unit
NAMES = ("RAY_TMPDIR", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def test_its_own_ray_is_closed_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", *NAMES, *driver.WORKERS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "of another cluster")
    for name in driver.WORKERS:
        monkeypatch.setenv(name, "1")
    folders = list[Path]()

    def init(**_: object) -> None:
        folder = Path(os.environ["RAY_TMPDIR"])
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(Path(os.environ["RAY_AUTH_TOKEN_PATH"]).stat().st_mode) == 0o600
        assert "RAY_AUTH_TOKEN" not in os.environ
        assert _raylet.get_authentication_mode() == _raylet.AuthenticationMode.TOKEN
        assert _raylet.AuthenticationTokenLoader.instance().has_token()
        folders.append(folder)

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: folders.append(folders[0]) if folders[0].exists() else None)
    with driver._cluster(None):
        assert folders[0].exists()
    assert len(folders) == 2  # the folder was there until Ray had ended
    assert not folders[0].exists()
    assert [os.environ.get(name) for name in NAMES] == [None, None, "of another cluster", None]
    assert _raylet.get_authentication_mode() != _raylet.AuthenticationMode.TOKEN
