"""Where the server is, and whom its key is shown to."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tornio.client import stacks
from tornio.client.address import Address, find, local_state, session_environment
from tornio.errors import InvalidInput, NotFound

pytestmark = pytest.mark.unit

SESSION = Address("http://127.0.0.1:8000", "session-key")


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever runs on this machine is registered in another home."""
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder below one that `tornio up` was started in."""
    session = tmp_path / ".tornio" / "session.json"
    session.parent.mkdir()
    session.write_text(json.dumps({"url": SESSION.url + "/", "api_key": SESSION.api_key}))
    session.chmod(0o600)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    return below


def test_the_session_is_found_upwards(folder: Path) -> None:
    assert find(environ={}, start=folder) == SESSION


@pytest.mark.parametrize(
    ("url", "key", "environ", "expected"),
    [
        ("http://given/", "given", {"TORNIO_URL": "http://env", "TORNIO_API_KEY": "env"}, ("http://given", "given")),
        (None, None, {"TORNIO_URL": "http://env", "TORNIO_API_KEY": "env"}, ("http://env", "env")),
        (None, None, {"TORNIO_API_KEY": "env"}, (SESSION.url, "env")),
        ("http://elsewhere", None, {}, ("http://elsewhere", None)),
        (SESSION.url, None, {}, (SESSION.url, "session-key")),
    ],
)
def test_what_was_given_goes_before_the_environment_and_a_session_key_nowhere_else(
    folder: Path, url: str | None, key: str | None, environ: dict[str, str], expected: tuple[str, str | None]
) -> None:
    found = find(url, key, environ, folder)
    assert (found.url, found.api_key) == expected


def test_the_state_folder_is_the_nearest_of_a_tornio_whether_it_runs_or_not(folder: Path, tmp_path: Path) -> None:
    (folder / ".tornio").mkdir()  # as `tornio score` makes one
    assert local_state(folder, {}) == tmp_path / ".tornio"
    (folder / ".tornio" / "credentials.json").touch()
    assert local_state(folder, {}) == folder / ".tornio"
    assert local_state(folder, {"TORNIO_STATE": str(tmp_path / ".tornio")}) == tmp_path / ".tornio"
    assert local_state(folder, {"TORNIO_STATE": str(tmp_path / "a")}) == tmp_path / "a"
    assert local_state(folder, {"TORNIO_STATE": str(tmp_path / "none")}) is None


def test_a_stopped_tornio_here_goes_before_one_that_runs_elsewhere(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacks, "running", lambda _: [tmp_path / ".tornio"])
    here = tmp_path.parent / f"{tmp_path.name}-here"
    (here / ".tornio").mkdir(parents=True)
    assert local_state(here, {}) == tmp_path / ".tornio"
    (here / ".tornio" / "credentials.json").touch()
    assert local_state(here, {}) == here / ".tornio"


def test_a_key_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-a-file\n")
    environ = {"TORNIO_URL": "http://env", "TORNIO_API_KEY_FILE": str(tmp_path / "key")}
    assert find(environ=environ, start=tmp_path).api_key == "from-a-file"
    with pytest.raises(InvalidInput, match="TORNIO_API_KEY_FILE"):
        find(environ=environ | {"TORNIO_API_KEY_FILE": str(tmp_path / "none")}, start=tmp_path)


def test_without_any_of_them_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="tornio up"):
        find(environ={"XDG_STATE_HOME": str(tmp_path)}, start=tmp_path)


@pytest.mark.parametrize(
    ("url", "key"), [("example.org", None), ("ftp://x", None), ("http://x", "kéy"), ("http://x", "a\nb")]
)
def test_addresses_and_keys_that_are_none(tmp_path: Path, url: str, key: str | None) -> None:
    with pytest.raises(InvalidInput):
        find(url, key, {}, tmp_path)


def test_a_tornio_that_is_starting_here_goes_before_one_that_runs_elsewhere(folder: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    (here / ".tornio").mkdir(parents=True)
    lock, environ = here / ".tornio" / "lock", {"XDG_STATE_HOME": str(tmp_path / "home")}
    (tmp_path / ".tornio").rename(tmp_path / "elsewhere")
    with stacks.registered(tmp_path / "elsewhere", pytest.fail, environ):
        for words in (["up"], ["tornio", "up"]):
            command = [sys.executable, "-c", "print(flush=True); input()", *words]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                process.stdout.readline()  # it is what its command line says, and not yet this process
                lock.write_text(str(process.pid))
                if words == ["up"]:  # another program has the number of a `tornio up` that has ended
                    assert find(environ=environ, start=here) == SESSION
                else:
                    with pytest.raises(NotFound, match=rf"process {process.pid}\) is starting or ending. Try again"):
                        find(environ=environ, start=here)


def test_a_session_that_others_can_read_is_refused(folder: Path) -> None:
    session = folder.parents[1] / ".tornio" / "session.json"
    session.chmod(0o644)
    with pytest.raises(InvalidInput, match="chmod 600"):
        find(environ={}, start=folder)


def test_the_state_folder_may_be_named(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environ = {"TORNIO_STATE": str(elsewhere)}
    with pytest.raises(NotFound, match=r"elsewhere/session.json \(from TORNIO_STATE\)"):
        find(environ=environ, start=folder)
    assert session_environment(folder, environ) is None
    session = elsewhere / "session.json"
    session.write_text(json.dumps({"url": "http://127.0.0.1:1", "environment": {"TORNIO_S3_BUCKET": "b"}}))
    session.chmod(0o600)
    assert find(environ=environ, start=folder).url == "http://127.0.0.1:1"
    assert session_environment(folder, environ) == {"TORNIO_S3_BUCKET": "b"}
    assert find(environ={**environ, "TORNIO_URL": "http://env"}, start=folder).url == "http://env"


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"url": 7}', '{"url": "x"}'])
def test_a_session_that_is_none(folder: Path, body: str) -> None:
    (folder.parents[1] / ".tornio" / "session.json").write_text(body)
    with pytest.raises(InvalidInput):
        find(environ={}, start=folder)


@pytest.mark.parametrize(("body", "mode"), [("{", 0o600), ('{"url": "http://127.0.0.1:2"}', 0o640)])
def test_a_bad_session_elsewhere_is_left_out_and_named(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, body: str, mode: int
) -> None:
    bad, good, start = tmp_path / "bad", tmp_path / ".tornio", tmp_path.with_name(f"{tmp_path.name}-outside")
    environ = {"XDG_STATE_HOME": str(tmp_path / "home")}
    for new in (bad, start):
        new.mkdir()
    session = bad / "session.json"
    session.write_text(body)
    session.chmod(mode)
    with stacks.registered(bad, pytest.fail, environ):
        assert find("http://given", None, environ, start) == Address("http://given", None)
        assert str(session) in caplog.text
        with pytest.raises(NotFound, match="can be used"):
            find(environ=environ, start=start)
        with stacks.registered(good, pytest.fail, environ):
            assert find(environ=environ, start=start) == SESSION
            assert session_environment(start, environ, anywhere=True) == {}
        with pytest.raises(InvalidInput, match=r"session\.json"):
            find("http://given", None, environ | {"TORNIO_STATE": str(bad)}, start)


def test_an_address_does_not_show_its_key() -> None:
    assert "session-key" not in repr(SESSION)
