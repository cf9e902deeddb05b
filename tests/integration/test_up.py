"""What `tornio up` writes is for its user alone."""

from __future__ import annotations

import stat

import pytest

from tests.running import Running

pytestmark = pytest.mark.integration


def test_secrets_are_for_their_owner_alone(tornio_up: Running) -> None:
    state = tornio_up.everything.stack.state_dir
    for name in ("credentials.json", "keys.json", "session.json", "ray-token"):
        assert stat.S_IMODE((state / name).stat().st_mode) == 0o600, name
    for folder in (state, (state / "ray").resolve().parent):  # Ray opens its own folder to all
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    assert (state / "ray" / "session_latest" / "logs").is_dir()  # Ray works there and nowhere else
