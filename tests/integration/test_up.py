"""What `tornio up` writes is for its user alone."""

from __future__ import annotations

import json
import stat

import pytest

from tests.running import Running
from tornio.cli import main
from tornio.client import Client
from tornio.errors import Forbidden, Unauthorized

pytestmark = pytest.mark.integration


def test_secrets_are_for_their_owner_alone(tornio_up: Running) -> None:
    state = tornio_up.everything.stack.state_dir
    for name in ("credentials.json", "keys.json", "session.json", "ray-token"):
        assert stat.S_IMODE((state / name).stat().st_mode) == 0o600, name
    for folder in (state, (state / "ray").resolve().parent):  # Ray opens its own folder to all
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    assert (state / "ray" / "session_latest" / "logs").is_dir()  # Ray works there and nowhere else


def test_keys_that_are_made_while_it_runs_are_accepted_until_they_are_revoked(
    tornio_up: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORNIO_STATE", str(tornio_up.everything.stack.state_dir))
    assert main(["keys", "new", "team", "--workspace", "team", "--json"]) == 0
    key = json.loads(capsys.readouterr().out)["key"]
    with Client(tornio_up.url, key) as client:
        assert client.tasks() == []
        with pytest.raises(Forbidden, match="operate"):
            client.pause("team/none")
        assert main(["keys", "revoke", "team"]) == 0
        with pytest.raises(Unauthorized):
            client.tasks()
