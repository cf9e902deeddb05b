"""A writer that dies in mid-request leaves what was there before: nothing, or the old object. Never half of one."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest

from tests.contract import servers
from tornio.errors import NotFound, Unavailable
from tornio.storage.port import ObjectStore
from tornio.storage.s3 import open_store

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as endpoint, pytest.MonkeyPatch.context() as patch:
        servers.use_credentials(patch)
        yield endpoint


@contextmanager
def cut_after(endpoint: str, body_bytes: int) -> Iterator[str]:
    """A line to the server that breaks when a request's head and so much of its body have passed."""
    upstream = urlsplit(endpoint)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def carry() -> None:
            while True:
                try:
                    near, _ = listener.accept()
                except OSError:  # closed: the end
                    return
                with near, socket.create_connection((upstream.hostname, upstream.port)) as far:
                    head, _, body = _read(near, body_bytes).partition(b"\r\n\r\n")
                    far.sendall(head + b"\r\n\r\n" + body[:body_bytes])

        thread = Thread(target=carry)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def _read(connection: socket.socket, body_bytes: int) -> bytes:
    """The head and the beginning of the body; tells a client that asks first to go on."""
    got = b""
    while b"\r\n\r\n" not in got or len(got.partition(b"\r\n\r\n")[2]) < max(body_bytes, 1):
        piece = connection.recv(65536)
        if not piece:
            break
        got += piece
        if got.endswith(b"\r\n\r\n") and b"100-continue" in got:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    return got.replace(b"Expect: 100-continue\r\n", b"")


def upload(store: ObjectStore, tmp: Path) -> None:
    (tmp / "file").write_bytes(b"new" * 1000)
    store.upload(tmp / "file", "uploaded")


WRITES: dict[str, Callable[[ObjectStore, Path], object]] = {
    "put": lambda store, _: store.put("put", b"new" * 1000),
    "absent": lambda store, _: store.put_if_absent("absent", b"new" * 1000),
    "uploaded": upload,
}


@pytest.mark.parametrize("body_bytes", [0, 1, 1000])
@pytest.mark.parametrize("key", WRITES)
def test_nothing_of_a_cut_write_is_there(endpoint: str, tmp_path: Path, key: str, body_bytes: int) -> None:
    whole = open_store(servers.settings(endpoint))
    whole.delete([key])
    with cut_after(endpoint, body_bytes) as line, pytest.raises(Unavailable):
        WRITES[key](open_store(servers.settings(line, retry_seconds=0)), tmp_path)
    _settled(whole)
    with pytest.raises(NotFound):
        whole.get(key)


@pytest.mark.parametrize("body_bytes", [0, 1, 1000])
def test_a_cut_change_leaves_the_object_as_it_was(endpoint: str, body_bytes: int) -> None:
    whole = open_store(servers.settings(endpoint))
    etag = whole.put("changed", b"old")
    with cut_after(endpoint, body_bytes) as line, pytest.raises(Unavailable):
        open_store(servers.settings(line, retry_seconds=0)).put_if_match("changed", b"new" * 1000, etag)
    _settled(whole)
    assert (whole.get("changed").body, whole.get("changed").etag) == (b"old", etag)


def _settled(store: ObjectStore) -> None:
    """The server has had the time to do what it was going to do: three rounds of another write and read."""
    for body in (b"one", b"two", b"three"):
        store.put("settled", body)
        assert store.get("settled").body == body
