"""Keys of a server's file: made, listed and taken back, and what the server then says."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from services.gateway.auth import KeyFile, KeyRing
from services.gateway.callers import Role
from services.limits.port import KeyLimits
from tornio.api import TaskName
from tornio.cli import main
from tornio.errors import Unauthorized

pytestmark = pytest.mark.unit


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "keys.json"
    monkeypatch.setenv("TORNIO_API_KEYS_FILE", str(path))
    return path


def test_a_key_is_shown_once_and_the_server_knows_it(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "new", "shop", "--workspace", "shop", "--workspace", "acme"]) == 0
    key = capsys.readouterr().out.strip().splitlines()[0]
    assert key not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    ring = KeyRing(KeyFile(file))
    caller = ring.caller(f"Bearer {key}")
    assert (caller.name, caller.role) == ("shop", Role.PREDICT)
    assert caller.workspaces == {"shop", "acme"}

    assert main(["keys", "new", "team", "--workspace", "*", "--role", "operate", "--json"]) == 0
    other = json.loads(capsys.readouterr().out)["key"]
    assert ring.caller(f"Bearer {other}").role is Role.OPERATE
    assert main(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert listed == "shop: predict in shop, acme\nteam: operate in *\n"

    assert main(["keys", "revoke", "shop"]) == 0
    with pytest.raises(Unauthorized):
        ring.caller(f"Bearer {key}")
    assert ring.caller(f"Bearer {other}").name == "team"


def test_a_key_for_tasks_is_in_their_workspaces(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["keys", "new", "team", "--task", "acme/reviews", "--task", "shop/mails", "--role", "admin", "--json"]
    assert main(command) == 0
    caller = KeyRing(KeyFile(file)).caller(f"Bearer {json.loads(capsys.readouterr().out)['key']}")
    assert (set(caller.workspaces), caller.role) == ({"acme", "shop"}, Role.ADMIN)
    assert set(caller.tasks or ()) == {TaskName("acme", "reviews"), TaskName("shop", "mails")}
    assert main(["keys", "list"]) == 0
    assert capsys.readouterr().out == "team: admin in acme/reviews, shop/mails\n"


def test_limits_of_a_key(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits = ["--texts-per-second", "50", "--burst-texts", "400", "--concurrent-requests", "8"]
    assert main(["keys", "new", "shop", "--workspace", "shop", *limits, "--json"]) == 0
    caller = KeyRing(KeyFile(file)).caller(f"Bearer {json.loads(capsys.readouterr().out)['key']}")
    assert caller.limits == KeyLimits(50, 400, 8)
    assert main(["keys", "list"]) == 0
    listed = "shop: predict in shop; texts_per_second 50.0; burst_texts 400; concurrent_requests 8\n"
    assert capsys.readouterr().out == listed


def test_a_key_that_was_written_by_hand_stays_as_it_is(file: Path) -> None:
    entry = {"name": "old", "key": "sixteen characters", "workspaces": ["a"], "role": "predict"}
    file.write_text(json.dumps([entry]))
    file.chmod(0o640)
    assert main(["keys", "new", "new", "--workspace", "a"]) == 0
    assert json.loads(file.read_text())[0] == entry
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["keys", "new", "old", "--workspace", "a"], "has a key named 'old'"),
        (["keys", "new", "x", "--workspace", "a", "--role", "king"], "role"),
        (["keys", "new", "x", "--workspace", "a", "--texts-per-second", "0"], "texts_per_second"),
        (["keys", "new", "x", "--workspace", "a", "--burst-texts", "9"], "no effect without"),
        (["keys", "new", "x"], "Where may the key be used?"),
        (["keys", "new", "x", "--task", "reviews"], "not the name of a task"),
        (["keys", "new", "x", "--workspace", "b", "--task", "a/reviews"], "outside of 'workspaces'"),
        (["keys", "revoke", "nobody"], "no key named 'nobody'. It has: old."),
    ],
)
def test_what_cannot_be_done_changes_nothing(
    file: Path, argv: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(json.dumps([{"name": "old", "key": "sixteen characters", "workspaces": ["a"], "role": "predict"}]))
    before = file.read_text()
    assert main(argv) == 1
    assert says in capsys.readouterr().err
    assert file.read_text() == before
    assert list(file.parent.iterdir()) == [file]


def test_without_a_file_it_says_what_to_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TORNIO_API_KEYS_FILE", raising=False)
    monkeypatch.delenv("TORNIO_STATE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["keys", "list"]) == 1
    assert "--file" in capsys.readouterr().err
    assert main(["keys", "list", "--file", str(tmp_path / "none.json")]) == 1
    assert "does not exist" in capsys.readouterr().err
