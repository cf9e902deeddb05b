"""A disk that is full: the store says so, keeps what it acknowledged, and goes on by itself when there is room."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.embedded import objectstore, ports
from services.embedded.objectstore import ObjectStore
from services.embedded.room import Room
from services.embedded.supervisor import Supervisor
from tests.running import until
from tornio.errors import Unavailable
from tornio.settings import StorageSettings
from tornio.storage.s3 import S3Store

pytestmark = pytest.mark.integration
SIZE = 160 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not sys.platform.startswith("linux") or os.getuid() != 0:
        pytest.skip("only root can mount a small disk")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not allow mounts")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_loses_nothing_and_needs_no_restart(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said, kept = list[str](), dict[str, bytes]()
    room = Room(small_disk, said.append)
    with Supervisor(small_disk) as supervisor:
        server = _start(small_disk, supervisor)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
        store = S3Store(StorageSettings(endpoint=server.endpoint, bucket=server.bucket, retry_seconds=1))

        def write(key: str) -> None:
            body = os.urandom(1_000_000)
            store.put_if_absent(key, body)
            kept[key] = body

        write("before")
        room.look()
        assert said == []
        ballast = _fill(small_disk)
        room.look()
        assert "is full" in said[0]
        for number in range(5):
            with pytest.raises(Unavailable, match="disk is full"):
                write(f"full-{number}")
        assert all(store.get(key).body == body for key, body in kept.items())
        ballast.unlink()
        room.look()
        assert "has room again" in said[1]
        until(lambda: _written(write), "the store takes writes again", 150, pause=1)
        assert all(store.get(key).body == body for key, body in kept.items())
        supervisor.check()  # nothing ended


def _start(folder: Path, supervisor: Supervisor) -> ObjectStore:
    place = folder / "seaweedfs"
    place.mkdir()
    server = ObjectStore(place, ports.assign(folder / "ports.json", objectstore.PORTS), "key", "secret")
    child = supervisor.start(server.program())
    supervisor.wait_ready(child, server.ready, server.timeout_s)
    server.settle()
    return server


def _fill(folder: Path) -> Path:
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        try:
            while True:
                file.write(b"x" * 65536)
                file.flush()
        except OSError:
            return ballast


def _written(write: Callable[[str], None]) -> bool:
    try:
        write("after")
    except Unavailable:
        return False
    return True
