"""`tornio doctor`: what facts mean, and what a user can do about them."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.gateway.fake import ADMIN, AppTransport, FakeBackend, app_of
from tornio import __version__
from tornio.cli import doctor, findings_view, machine, main
from tornio.cli.diagnosis import GIB, Server, check_machine, check_server
from tornio.cli.machine import Machine, environment_of, look
from tornio.client import Client
from tornio.errors import NotFound
from tornio.findings import Finding, Level, missing, note, ok, unknown

pytestmark = pytest.mark.unit

GOOD = Machine(
    python=(3, 12),
    memory=8 * GIB,
    disk=50 * GIB,
    shared_memory=4 * GIB,
    open_files=65_536,
    lacking={"cluster": (), "embedded": ()},
    torch_sees_gpu=False,
    argilla=Path("/venv/bin/python"),
    encoder=True,
)
SERVER = Server("http://tornio", version="1.0", skew=0.4, tasks=3, operates=True)


def levels(findings: Any) -> dict[str, Level]:
    return {finding.what: finding.level for finding in findings}


def test_a_good_machine_has_nothing_to_do() -> None:
    findings = list(check_machine(GOOD))
    assert {finding.level for finding in findings} == {Level.OK}
    assert not any(finding.todo for finding in findings)


@pytest.mark.parametrize(
    ("change", "what", "level"),
    [
        ({"python": (3, 10)}, "Python", Level.MISSING),
        ({"python": (3, 14)}, "Python", Level.MISSING),
        ({"memory": GIB}, "Memory", Level.NOTE),
        ({"memory": None}, "Memory", Level.UNKNOWN),
        ({"disk": 1000}, "Disk", Level.NOTE),
        ({"shared_memory": 64 << 20}, "Shared memory (/dev/shm)", Level.NOTE),
        ({"open_files": 256}, "Open files", Level.NOTE),
        ({"open_files": None}, "Open files", Level.OK),
        ({"can_listen": False}, "Ports", Level.MISSING),
        ({"lacking": {"cluster": ("torch", "ray"), "embedded": ()}}, "Extra cluster", Level.NOTE),
        ({"lacking": {"cluster": ()}}, "Extra embedded", Level.NOTE),
        ({"argilla": "Argilla's own Python environment was not found"}, "Argilla's environment", Level.NOTE),
        ({"argilla": None}, "Argilla's environment", Level.NOTE),
        ({"encoder": False}, "Base model", Level.NOTE),
        ({"has_gpu": True, "torch_sees_gpu": True}, "GPU", Level.OK),
        ({"has_gpu": True, "torch_sees_gpu": False}, "GPU", Level.MISSING),
        ({"has_gpu": True, "torch_sees_gpu": None}, "GPU", Level.OK),
    ],
)
def test_each_lack_is_found_alone(change: dict[str, Any], what: str, level: Level) -> None:
    findings = list(check_machine(replace(GOOD, **change)))
    assert levels(findings)[what] is level
    assert all(finding.level is Level.OK for finding in findings if finding.what != what)
    assert level is Level.OK or next(finding.todo for finding in findings if finding.what == what)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {"Server": Level.OK, "API key": Level.OK, "Clock": Level.OK}),
        ({"url": None, "problem": "nowhere"}, {"Server": Level.NOTE}),
        ({"problem": "ConnectError"}, {"Server": Level.MISSING}),
        ({"version": "0.9"}, {"Server": Level.NOTE, "API key": Level.OK, "Clock": Level.OK}),
        ({"version": None}, {"Server": Level.UNKNOWN, "API key": Level.OK, "Clock": Level.OK}),
        ({"tasks": None, "refused": "no"}, {"Server": Level.OK, "API key": Level.MISSING, "Clock": Level.OK}),
        ({"skew": -900.0}, {"Server": Level.OK, "API key": Level.OK, "Clock": Level.MISSING}),
        ({"skew": None}, {"Server": Level.OK, "API key": Level.OK}),
    ],
)
def test_what_a_server_says(change: dict[str, Any], expected: dict[str, Level]) -> None:
    assert levels(check_server(replace(SERVER, **change), "1.0")) == expected


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ([ok("a", "b"), note("a", "b", "c")], 0),
        ([unknown("a", "b", "c"), ok("a", "b")], 3),
        ([unknown("a", "b", "c"), missing("a", "b", "c")], 1),
    ],
)
def test_the_exit_code(findings: list[Finding], code: int) -> None:
    assert findings_view.exit_code(findings) == code


def test_the_facts_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_torch_sees_gpu", lambda: None)
    seen = look(tmp_path / "not" / "there")
    assert (3, 11) <= seen.python <= (3, 13)
    assert seen.disk is not None
    assert seen.disk > 0


def test_variables_and_the_files_that_they_name(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-a-file\n")
    environ = {"TORNIO_ARGILLA_API_KEY_FILE": str(tmp_path / "key"), "TORNIO_S3_BUCKET": "b", "HOME": "/", "AWS_X": ""}
    found, wrong = environment_of(environ)
    assert not wrong
    assert (found["TORNIO_ARGILLA_API_KEY"], found["TORNIO_S3_BUCKET"]) == ("from-a-file", "b")
    assert "HOME" not in found
    assert "AWS_X" not in found


def test_a_file_that_cannot_be_looked_at_is_a_finding_and_one_that_is_missing_may_be_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    beyond = {"TORNIO_ARGILLA_API_KEY_FILE": str(tmp_path / "file" / "key")}
    found, wrong = environment_of(beyond, optional=True)
    assert (found["TORNIO_ARGILLA_API_KEY"], len(wrong)) == ("", 1)
    away = {"TORNIO_ARGILLA_API_KEY_FILE": str(tmp_path / "key")}
    assert environment_of(away, optional=True) == (away, [])
    assert len(environment_of(away)[1]) == 1


def test_files_of_other_variables_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    names = ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "TORNIO_S3_OTHER_FILE", "TORNIO_ARGILLA_OTHER_FILE")
    environ = dict.fromkeys(names, str(tmp_path / "file"))
    assert environment_of(environ) == (environ, [])


@pytest.fixture
def quiet_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No facts of the machine that runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(doctor, "look", lambda _: GOOD)
    for name in ("TORNIO_S3_BUCKET", "TORNIO_ARGILLA_URL", "TORNIO_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("quiet_machine")
@pytest.mark.parametrize(("key", "code", "says"), [(ADMIN, 0, "it is valid"), ("wrong", 1, "missing API key")])
def test_with_a_server(
    key: str, code: int, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app = app_of(FakeBackend())

    def get(url: str, **options: Any) -> httpx.Response:
        with httpx.Client(transport=AppTransport(app)) as client:
            return client.get(url)

    monkeypatch.setattr(httpx, "get", get)

    def open_client(_: str | None) -> Client:
        return Client("http://tornio", key, transport=AppTransport(app), retry_seconds=0)

    assert main(["doctor"], open_client) == code
    out = capsys.readouterr().out
    assert f"http://tornio, version {__version__}" in out
    assert says in " ".join(out.split())
    assert key not in out


@pytest.mark.usefixtures("quiet_machine")
def test_without_a_server(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def open_client(_: str | None) -> Client:
        raise NotFound("Tornio is not running here.")

    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["doctor", "--json"], open_client) == 0
    said = json.loads(capsys.readouterr().out)
    assert {"level": "note", "what": "Server"}.items() <= next(
        one for one in said["findings"] if one["what"] == "Server"
    ).items()


@pytest.mark.usefixtures("quiet_machine")
@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_key_file_that_cannot_be_read_is_a_finding(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def open_client(_: str | None) -> Client:
        raise NotFound("Tornio is not running here.")

    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("TORNIO_ARGILLA_API_KEY_FILE", str(path))
    assert main(["doctor", "--json"], open_client) == 1
    said = json.loads(capsys.readouterr().out)["findings"]
    finding = next(one for one in said if one["what"] == "API key of Argilla")
    assert finding["level"] == "missing"
    assert str(path) in finding["found"]
    assert "TORNIO_ARGILLA_API_KEY_FILE" in finding["todo"]
    assert environment_of()[0]["TORNIO_ARGILLA_API_KEY"] == ""  # no other key goes to this server in its place
