"""API keys: where they come from, how they rotate, what is never said of them."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from services.gateway.auth import KeyFile, KeyRing, read_keys
from services.gateway.callers import ANYBODY, Role
from tornio.api import TaskName
from tornio.errors import Forbidden, InvalidInput, Unauthorized

pytestmark = pytest.mark.unit

KEY = "a-key-of-some-length"


def entry(**fields: Any) -> dict[str, Any]:
    return {"name": "ci", "key": KEY, "workspaces": ["acme"], "role": "operate"} | fields


NOTHING = entry(sha256=hashlib.sha256(b"").hexdigest())


def text(*entries: dict[str, Any]) -> str:
    return json.dumps(entries)


def ring(environ: dict[str, str]) -> KeyRing:
    return KeyRing.from_environment(environ)


def test_a_key_in_the_environment_opens() -> None:
    caller = ring({"TORNIO_API_KEYS": text(entry())}).caller(f"Bearer {KEY}")
    assert (caller.name, caller.role, caller.workspaces) == ("ci", Role.OPERATE, frozenset({"acme"}))


def test_a_key_may_be_given_by_its_digest() -> None:
    hashed = entry(sha256=hashlib.sha256(KEY.encode()).hexdigest())
    del hashed["key"]
    assert ring({"TORNIO_API_KEYS": text(hashed)}).caller(f"bearer {KEY}").name == "ci"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", f"Basic {KEY}", KEY, "Bearer wrong-key-of-that-len"])
def test_what_opens_nothing(header: str | None) -> None:
    with pytest.raises(Unauthorized):
        ring({"TORNIO_API_KEYS": text(entry())}).caller(header)


@pytest.mark.parametrize(
    ("environ", "open_to_all"),
    [
        ({}, False),
        ({"TORNIO_INSECURE": "0"}, False),
        ({"TORNIO_INSECURE": "true"}, False),
        ({"TORNIO_INSECURE": "1"}, True),
        ({"TORNIO_INSECURE": "1", "TORNIO_API_KEYS": text(entry())}, False),
        ({"TORNIO_API_KEYS": "[]"}, False),
    ],
)
def test_without_a_key_only_an_insecure_server_without_keys_opens(environ: dict[str, str], open_to_all: bool) -> None:
    if open_to_all:
        assert ring(environ).caller(None) is ANYBODY
    else:
        with pytest.raises(Unauthorized):
            ring(environ).caller(None)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("{", "not JSON"),
        ('{"name": "ci"}', "list"),
        (text(entry(key="short")), "16"),
        (text(entry(role="king")), "role"),
        (text(entry(workspaces=[])), "workspaces"),
        (text(entry(tasks=[])), "tasks"),
        (text(entry(), entry(tasks=["reviews"])), "^keys.json: entry 1.tasks: .*'reviews' is not the name of a task"),
        (text(entry(workspaces=["acme", "Shop"])), "^keys.json: entry 0.workspaces: .*'Shop' is neither"),
        (text(entry(workspaces=["acme\n"])), "neither"),
        (text(entry(workspaces=["acme/reviews"])), "neither"),
        (text(entry(tasks=["shop/reviews"])), "outside of 'workspaces'"),
        (text(entry(sha256="0" * 64)), "either"),
        (text(entry(), entry()), "twice"),
        (text(entry(owner="me")), "owner"),
        (text(entry(), entry(name="twin")), "'ci' and 'twin' have the same key"),
        (text(entry(key=" " * 20)), "can never match"),
        (text(entry(key=f"{KEY} ")), "can never match"),
        (text(entry(key=f"{KEY}\n")), "can never match"),
        (text(entry(key="schlüssel-der-nie-passt")), "can never match"),
        (text(entry(key="a\x00key-of-some-length")), "can never match"),
        (text(entry(key="k" * 5_000)), "4096"),
        (text({name: value for name, value in NOTHING.items() if name != "key"}), "digest of nothing"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_keys_that_are_none_are_refused_without_telling_them(keys: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as refused:
        read_keys(keys, "keys.json")
    assert KEY not in str(refused.value)


def write(path: Path, keys: str) -> None:
    """As a rotation does it: a new file in place of the old one."""
    new = path.with_suffix(".new")
    new.write_text(keys)
    new.replace(path)


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    write(path, text(entry()))
    keys = ring({"TORNIO_API_KEYS_FILE": str(path)})
    second = entry(name="new", key="another-key-of-some-length")
    write(path, text(entry(), second))
    assert keys.caller(f"Bearer {second['key']}").name == "new"
    write(path, text(second))
    with pytest.raises(Unauthorized):
        keys.caller(f"Bearer {KEY}")


@pytest.mark.parametrize("fault", ["broken", "deep", "gone"])
def test_a_file_that_breaks_leaves_the_last_good_keys(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    path = tmp_path / "keys.json"
    write(path, text(entry()))
    keys = KeyRing(KeyFile(path))
    if fault == "broken":
        write(path, text(entry(role="king")))
    elif fault == "deep":
        write(path, "[" * 100_000)
    else:
        path.unlink()
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert keys.caller(f"Bearer {KEY}").name == "ci"
    assert caplog.text.count("the old ones go on") == 1
    if fault != "gone":
        write(path, text(entry(name="mended")))
        assert keys.caller(f"Bearer {KEY}").name == "mended"
    assert KEY not in caplog.text


def test_a_server_does_not_start_with_a_broken_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    with pytest.raises(InvalidInput, match=r"keys\.json"):
        KeyFile(path)
    path.write_bytes(os.urandom(40) + b"\xff")
    with pytest.raises(InvalidInput):
        KeyFile(path)


SUPPORT, REVIEWS = TaskName("acme", "support"), TaskName("acme", "reviews")


@pytest.mark.parametrize("role", Role)
def test_a_role_may_do_what_those_before_it_may(role: Role) -> None:
    caller = read_keys(text(entry(role=role)), "keys")[0][1]
    for asked in Role:
        if list(Role).index(asked) <= list(Role).index(role):
            caller.check(asked, SUPPORT)
            caller.check(asked)
        else:
            with pytest.raises(Forbidden, match=f"role '{asked}'"):
                caller.check(asked, SUPPORT)
    with pytest.raises(Forbidden, match="workspace 'other'"):
        caller.check(Role.PREDICT, TaskName("other", "support"))


def test_a_key_may_be_for_some_tasks_alone() -> None:
    caller = read_keys(text(entry(tasks=["acme/reviews"])), "keys")[0][1]
    caller.check(Role.OPERATE, REVIEWS)
    assert [caller.sees(task) for task in (REVIEWS, SUPPORT)] == [True, False]
    with pytest.raises(Forbidden, match="acme/support, but only to some tasks"):
        caller.check(Role.PREDICT, SUPPORT)
    with pytest.raises(Forbidden, match="acme, but only to some tasks"):
        caller.check(Role.PREDICT, "acme")
    anywhere = read_keys(text(entry(workspaces=["*"], tasks=["acme/reviews"])), "keys")[0][1]
    assert [anywhere.sees(task) for task in (REVIEWS, SUPPORT)] == [True, False]
