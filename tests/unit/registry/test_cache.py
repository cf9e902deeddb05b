"""The node's cache: shared by processes, killed at will, never wrong."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.registry import loader
from tornio.errors import IntegrityError, NotFound
from tornio.registry import NodeCache
from tornio.registry import cache as cache_module
from tornio.schemas import keys
from tornio.schemas.registry import Blob
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit


def blob_of(body: bytes) -> Blob:
    return Blob(sha256=hashlib.sha256(body).hexdigest(), size=len(body))


def store_with(*bodies: bytes) -> MemoryStore:
    store = MemoryStore()
    for body in bodies:
        store.put(keys.blob(blob_of(body).sha256), body)
    return store


class Downloads:
    """Counts downloads, as a hook of the store."""

    def __init__(self, store: MemoryStore) -> None:
        self.count = 0
        store.after = self

    def __call__(self, operation: str, key: str) -> None:
        self.count += operation == "download"


def test_a_blob_is_fetched_once(tmp_path: Path) -> None:
    store = store_with(b"weights")
    downloads = Downloads(store)
    cache = NodeCache(tmp_path, store)
    assert cache.file(blob_of(b"weights")).read_bytes() == b"weights"
    assert cache.file(blob_of(b"weights")) == NodeCache(tmp_path, store).file(blob_of(b"weights"))
    assert downloads.count == 1


def test_a_folder_has_the_files_under_their_names(tmp_path: Path) -> None:
    cache = NodeCache(tmp_path, store_with(b"weights", b"{}"))
    files = {"head.safetensors": blob_of(b"weights"), "deep/head.json": blob_of(b"{}"), "same.json": blob_of(b"{}")}
    folder = cache.folder(files)
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert found == {"head.safetensors": b"weights", "deep/head.json": b"{}", "same.json": b"{}"}
    assert cache.folder(files) == folder


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "", ".", "a//b", "a\\b", "a\0b", "./a"])
def test_names_that_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(IntegrityError, match="points outside its folder"):
        NodeCache(tmp_path, store_with(b"x")).folder({name: blob_of(b"x")})


@pytest.mark.parametrize("damage", [b"weighty", b"weig", b""])
def test_a_damaged_file_is_fetched_again(tmp_path: Path, damage: bytes) -> None:
    store = store_with(b"weights")
    files = {"head": blob_of(b"weights")}
    folder = NodeCache(tmp_path, store).folder(files)
    (folder / "head").chmod(0o644)
    (folder / "head").write_bytes(damage)
    assert (NodeCache(tmp_path, store).folder(files) / "head").read_bytes() == b"weights"


def test_damage_under_a_living_process_is_noticed(tmp_path: Path) -> None:
    cache = NodeCache(tmp_path, store_with(b"weights"))
    path = cache.file(blob_of(b"weights"))
    path.chmod(0o644)
    path.write_bytes(b"w")
    assert cache.file(blob_of(b"weights")).read_bytes() == b"weights"


def test_a_blob_that_the_store_has_wrong_is_refused(tmp_path: Path) -> None:
    store = MemoryStore()
    store.put(keys.blob(blob_of(b"weights").sha256), b"weighty")
    with pytest.raises(IntegrityError, match="does not match its digest"):
        NodeCache(tmp_path, store).file(blob_of(b"weights"))
    assert [p for p in tmp_path.rglob("*") if p.is_file() and p.parent.name != "locks"] == []


def test_a_blob_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        NodeCache(tmp_path, MemoryStore()).file(blob_of(b"weights"))


def test_the_least_recently_used_go_when_the_cache_is_full(tmp_path: Path) -> None:
    bodies = [bytes([n]) * 100 for n in range(4)]
    cache = NodeCache(tmp_path, store_with(*bodies), max_bytes=250)
    folders = [cache.folder({"f": blob_of(body)}) for body in bodies[:3]]
    assert all((folder / "f").exists() for folder in folders), "what is in use stays, bound or no bound"
    for age, body in ((9000, bodies[1]), (8000, bodies[0])):
        path = cache.file(blob_of(body))
        os.utime(path, (time.time() - age, path.stat().st_mtime))
    cache.folder({"f": blob_of(bodies[3])})
    assert [(folder / "f").exists() for folder in folders] == [False, False, True]
    assert cache.folder({"f": blob_of(bodies[1])}) == folders[1]
    assert (folders[1] / "f").read_bytes() == bodies[1]


def start_loader(*args: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, loader.__file__, *map(str, args)])


def test_two_processes_fetch_once(tmp_path: Path) -> None:
    root, log = tmp_path / "cache", tmp_path / "log"
    processes = [start_loader(root, log) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert log.read_text() == "download\n"


def test_a_kill_in_mid_download_leaves_nothing_wrong(tmp_path: Path) -> None:
    root, log = tmp_path / "cache", tmp_path / "log"
    process = start_loader(root, log, "stop")
    half = root / "incoming" / loader.BLOB.sha256 / "blob"
    try:
        wait_until(lambda: half.exists() and half.stat().st_size == 4)
    finally:
        process.kill()
        process.wait()
    assert half.exists()
    assert not (root / "blobs").exists()
    loader.load(root, log)
    assert not half.exists()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_eviction_leaves_a_blob_that_another_process_loads(tmp_path: Path) -> None:
    old, new = b"o" * 100, b"n" * 100
    cache = NodeCache(tmp_path, store_with(old, new), max_bytes=150)
    path = cache.file(blob_of(old))
    os.utime(path, (time.time() - 2 * cache_module._IN_USE_SECONDS, path.stat().st_mtime))
    with cache._lock(blob_of(old).sha256):
        cache.file(blob_of(new))
        assert path.exists()
