"""What `tornio up` starts is for this machine alone."""

from __future__ import annotations

import ipaddress
import stat

import psutil
import pytest

from tests.running import Running

pytestmark = pytest.mark.integration


def test_everything_listens_on_loopback_alone(tornio_up: Running) -> None:
    children = tornio_up.everything.stack.supervisor.children
    processes = [process for child in children for process in [psutil.Process(child.pid), *_below(child.pid)]]
    listening = {address: process.name() for process in processes for address in _listens_at(process)}
    assert len(listening) > 8
    outside = {name for (ip, _), name in listening.items() if not _is_loopback(ip)}
    # Serve's replicas take no address for what they say to each other; they take nothing without Ray's token.
    assert not [name for name in outside if "ServeRepl" not in name]
    environment = psutil.Process(tornio_up.child("ray").pid).environ()
    assert environment["RAY_AUTH_MODE"] == "token"


def _below(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def _listens_at(process: psutil.Process) -> list[tuple[str, int]]:
    try:
        found = process.net_connections("tcp")
    except psutil.NoSuchProcess:  # it has ended meanwhile
        return []
    return [(one.laddr.ip, one.laddr.port) for one in found if one.status == psutil.CONN_LISTEN]


def _is_loopback(ip: str) -> bool:
    address = ipaddress.ip_address(ip)
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def test_secrets_are_for_their_owner_alone(tornio_up: Running) -> None:
    state = tornio_up.everything.stack.state_dir
    for name in ("credentials.json", "session.json", "ray-token"):
        assert stat.S_IMODE((state / name).stat().st_mode) == 0o600, name
