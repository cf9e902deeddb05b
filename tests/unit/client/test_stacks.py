"""Commands find a running `tornio up` from any folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tornio.client import stacks
from tornio.client.address import find, session_environment
from tornio.errors import Conflict, NotFound

pytestmark = pytest.mark.unit


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path / "home")}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def no_complaint(line: str) -> None:
    raise AssertionError(line)


def state(tmp_path: Path, name: str, port: int) -> Path:
    """A state folder as `tornio up` leaves it while it runs."""
    folder = tmp_path / name / ".tornio"
    folder.mkdir(parents=True)
    session = folder / "session.json"
    session.write_text(
        json.dumps({"url": f"http://127.0.0.1:{port}", "api_key": f"key-of-{name}", "environment": {"A": name}})
    )
    session.chmod(0o600)
    return folder


@pytest.fixture
def other_process() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


def test_the_only_one_that_runs_is_found_until_it_ends(
    tmp_path: Path, environ: dict[str, str], elsewhere: Path
) -> None:
    one = state(tmp_path, "one", 1)
    with stacks.registered(one, no_complaint, environ):
        found = find(environ=environ, start=elsewhere)
        assert (found.url, found.api_key) == ("http://127.0.0.1:1", "key-of-one")
        assert session_environment(elsewhere, environ) is None
        assert session_environment(elsewhere, environ, anywhere=True) == {"A": "one"}
    assert stacks.running(environ) == []
    with pytest.raises(NotFound, match=r"no other `tornio up` of yours can be used on this machine"):
        find(environ=environ, start=elsewhere)


def test_of_several_one_must_be_chosen(
    tmp_path: Path, environ: dict[str, str], elsewhere: Path, other_process: int
) -> None:
    one, two = state(tmp_path, "one", 1), state(tmp_path, "two", 2)
    with (
        stacks.registered(one, no_complaint, environ),
        stacks.registered(two, no_complaint, environ, other_process),
    ):
        assert stacks.running(environ) == [one, two]
        with pytest.raises(Conflict, match=r"2 of your `tornio up` are running: .*one.*:1.*two.*:2.*TORNIO_STATE"):
            find(environ=environ, start=elsewhere)
        assert find(environ={**environ, "TORNIO_STATE": str(two)}, start=elsewhere).api_key == "key-of-two"
        assert find(environ=environ, start=one.parent).api_key == "key-of-one"
        assert find("http://127.0.0.1:2", environ=environ, start=elsewhere).api_key == "key-of-two"
        assert find("http://127.0.0.1:3", environ=environ, start=elsewhere).api_key is None


def test_a_named_state_folder_is_the_only_place(tmp_path: Path, environ: dict[str, str], elsewhere: Path) -> None:
    with stacks.registered(state(tmp_path, "one", 1), no_complaint, environ), pytest.raises(NotFound):
        find(environ={**environ, "TORNIO_STATE": str(elsewhere)}, start=elsewhere)


def test_one_that_was_killed_does_not_count_and_is_removed_by_the_next(
    tmp_path: Path, environ: dict[str, str], other_process: int
) -> None:
    folder = Path(environ["XDG_STATE_HOME"]) / "tornio" / "stacks"
    with stacks.registered(state(tmp_path, "one", 1), no_complaint, environ, other_process):
        (file,) = folder.iterdir()
        left = json.loads(file.read_text())
    for changed in ({"pid": 2**22 + 1}, {"pid": os.getpid()}, {"pid": -1}, {"pid": "x"}, {"state": None}):
        file.write_text(json.dumps({**left, **changed}))
        assert stacks.running(environ) == []
    file.write_text("{")
    assert stacks.running(environ) == []
    with stacks.registered(tmp_path, no_complaint, environ):
        assert not file.exists()


def test_its_file_is_private_and_holds_no_key(tmp_path: Path, environ: dict[str, str]) -> None:
    with stacks.registered(state(tmp_path, "one", 1), no_complaint, environ):
        (file,) = (Path(environ["XDG_STATE_HOME"]) / "tornio" / "stacks").iterdir()
        assert file.stat().st_mode & 0o777 == 0o600
        assert set(json.loads(file.read_text())) == {"state", "pid", "started"}
        assert "key-of-one" not in file.read_text()


def test_one_that_still_starts_is_not_found(tmp_path: Path, environ: dict[str, str], elsewhere: Path) -> None:
    with stacks.registered(tmp_path / "starting", no_complaint, environ), pytest.raises(NotFound):
        find(environ=environ, start=elsewhere)


def test_a_home_that_cannot_be_written_is_said_and_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file, where a folder is needed")
    environ, said = {"XDG_STATE_HOME": str(tmp_path / "home")}, list[str]()
    with stacks.registered(state(tmp_path, "one", 1), said.append, environ):
        assert "do not find this Tornio" in said[0]
        assert stacks.running(environ) == []
