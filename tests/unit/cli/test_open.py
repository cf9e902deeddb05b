"""`tornio open`: the address of a page, without any key, and the browser where there is one."""

from __future__ import annotations

import asyncio
import json
import webbrowser
from typing import Protocol

import pytest
import typer

from tests.unit.gateway.fake import ADMIN, AppTransport, FakeBackend, app_of
from tornio.cli import main, open_page
from tornio.cli.app import app
from tornio.client import Client
from tornio.errors import InvalidInput
from tornio.spec import TaskSpec

pytestmark = pytest.mark.unit


class Tornio(Protocol):
    def __call__(self, *argv: object) -> tuple[int, str, str]: ...


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that the browser was told to open."""
    opened: list[str] = []

    def open_it(address: str) -> bool:
        opened.append(address)
        return True

    for name in ("SSH_CONNECTION", "SSH_TTY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BROWSER", "a-browser")
    monkeypatch.setattr(webbrowser, "open", open_it)
    return opened


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def tornio(backend: FakeBackend, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tornio:
    monkeypatch.setenv("COLUMNS", "200")

    def open_client(url: str | None) -> Client:
        return Client(url or "http://tornio", ADMIN, transport=AppTransport(app_of(backend)), retry_seconds=0)

    def run(*argv: object) -> tuple[int, str, str]:
        code = main([str(word) for word in argv], open_client)
        return code, *capsys.readouterr()

    return run


def test_the_page_of_the_server_and_of_a_task(tornio: Tornio, backend: FakeBackend, seen: list[str]) -> None:
    code, _, err = tornio("open", "acme/support")
    assert (code, "acme/support" in err, seen) == (1, True, [])
    asyncio.run(
        backend.apply(TaskSpec.model_validate({"workspace": "acme", "name": "support", "labels": ["yes", "no"]}), "ann")
    )
    assert tornio("open") == (0, "http://tornio/\n", "")
    assert tornio("open", "acme/support") == (0, "http://tornio/tasks/acme/support\n", "")
    assert seen == ["http://tornio/", "http://tornio/tasks/acme/support"]
    assert ADMIN not in "".join(seen)


def test_only_the_address_on_demand(tornio: Tornio, seen: list[str]) -> None:
    code, out, _ = tornio("open", "--no-browser", "--json")
    assert (code, json.loads(out), seen) == (0, {"url": "http://tornio/", "opened": False}, [])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--annotate"], "Give its name"), (["acme"], "workspace/task"), (["acme/support\n"], "workspace/task")],
)
def test_what_names_no_page(tornio: Tornio, seen: list[str], arguments: list[str], says: str) -> None:
    code, _, err = tornio("open", *arguments)
    assert (code, seen) == (1, [])
    assert says in err


def test_a_name_and_password_in_the_address_are_not_shown() -> None:
    assert open_page.without_user("https://me:secret@host:8/tasks/a/b?x=1") == "https://host:8/tasks/a/b?x=1"
    with pytest.raises(InvalidInput):
        open_page.without_user("javascript:alert(1)")


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"DISPLAY": ":10", "SSH_CONNECTION": "1 2 3 4"}, "linux", False),
        ({"BROWSER": "firefox"}, "linux", True),
        ({}, "darwin", True),
        ({"SSH_TTY": "/dev/pts/0"}, "darwin", False),
    ],
)
def test_where_there_is_a_browser(environ: dict[str, str], platform: str, expected: bool) -> None:
    assert open_page.has_browser(environ, platform) is expected


def test_a_browser_that_fails_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_: str) -> bool:
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "open", fail)
    assert open_page.shown("http://tornio/") is False
    assert "could not locate" in capsys.readouterr().err


def test_all_commands_call_a_task_by_the_same_name() -> None:
    found = dict(_named("tornio", typer.main.get_command(app)))
    assert len(found) > 20
    assert {metavar for _, metavar, _ in found.values()} == {"WORKSPACE/TASK", "WORKSPACE[/TASK]"}
    places = {command: place for command, (place, _, _) in found.items()}
    places.pop("tornio job")  # the name of the job comes first
    assert set(places.values()) == {0}


def _named(name: str, command: object) -> list[tuple[str, tuple[int, str | None, str]]]:
    """The argument of each command that names a task: its place, how the help calls it, and what the help says."""
    inner = getattr(command, "commands", {})
    found = [pair for word, one in inner.items() for pair in _named(f"{name} {word}", one)]
    arguments = [one for one in getattr(command, "params", ()) if one.param_type_name == "argument"]
    return found + [
        (name, (place, one.metavar, getattr(one, "help", "") or ""))
        for place, one in enumerate(arguments)
        if one.name == "task"
    ]
