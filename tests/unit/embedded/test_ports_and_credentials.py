"""What the stack chooses once and finds again: ports and secrets."""

import socket
import stat
from pathlib import Path

import pytest

from services.embedded.credentials import Credentials
from services.embedded.ports import HOST, assign
from tornio.errors import Conflict

pytestmark = pytest.mark.unit


def test_ports_differ_and_are_found_again(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    names = [f"service{index}" for index in range(20)]
    first = assign(path, names)
    assert len(set(first.values())) == len(names)
    assert assign(path, names) == first


def test_a_given_port_wins_and_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    first = assign(path, ["a", "b"])
    spare = assign(tmp_path / "other.json", ["spare"])["spare"]
    assert assign(path, ["a", "b"], {"a": spare}) == {"a": spare, "b": first["b"]}
    assert assign(path, ["c"])["c"] not in {spare, first["b"]}
    assert assign(path, ["a", "b"]) == {"a": spare, "b": first["b"]}


def test_a_port_that_is_taken_meanwhile_is_replaced_unless_it_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    port = assign(path, ["a"])["a"]
    with socket.create_server((HOST, port)):
        assert assign(path, ["a"])["a"] != port
        with pytest.raises(Conflict, match=f"Port {port} for a is in use"):
            assign(path, ["a"], {"a": port})


def test_a_given_port_is_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    first = assign(path, ["a", "b"])
    swapped = assign(path, ["a", "b"], {"b": first["a"]})  # a's own of the last time, now asked for by b
    assert swapped["b"] == first["a"]
    assert swapped["a"] != swapped["b"]
    with pytest.raises(Conflict, match=f"Port {first['a']} is given twice"):
        assign(path, ["a", "b"], {"a": first["a"], "b": first["a"]})


def test_credentials_are_made_once_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "credentials.json"
    credentials = Credentials.load_or_create(path)
    assert Credentials.load_or_create(path) == credentials
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secrets = [credentials.s3_secret_key, credentials.argilla_api_key, credentials.argilla_password]
    assert not any(secret in repr(credentials) for secret in secrets)
    assert Credentials() != credentials


def test_a_file_of_an_older_release_keeps_its_secrets_and_gets_the_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    before = Credentials()
    path.write_text(before.model_dump_json(exclude={"api_key"}))
    completed = Credentials.load_or_create(path)
    assert completed.model_copy(update={"api_key": before.api_key}) == before
    assert Credentials.load_or_create(path) == completed
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
