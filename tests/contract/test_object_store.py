"""What every object store promises, shown on each one: in memory, in a folder, moto's server, a real SeaweedFS."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from uuid import uuid4

import pytest

from tests.contract import servers
from tests.unit.storage.faulty_proxy import lose_answer, proxy_to
from tornio.errors import AlreadyExists, Changed, Conflict, NotFound
from tornio.storage import s3
from tornio.storage.local import LocalStore
from tornio.storage.memory import MemoryStore
from tornio.storage.port import ObjectStore
from tornio.storage.probe import probe
from tornio.storage.s3 import open_store

LARGE = 20 << 20


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with servers.moto() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as endpoint:
        yield endpoint


@pytest.fixture(
    params=[
        pytest.param("memory", marks=pytest.mark.unit),
        pytest.param("local", marks=pytest.mark.unit),
        pytest.param("moto", marks=pytest.mark.unit),
        pytest.param("seaweedfs", marks=pytest.mark.integration),
    ]
)
def store(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> ObjectStore:
    """An empty store: a fresh prefix of the server's bucket."""
    servers.use_credentials(monkeypatch)
    if request.param == "memory":
        return MemoryStore()
    if request.param == "local":
        return LocalStore(tmp_path_factory.mktemp("store"))
    return open_store(servers.settings(request.getfixturevalue(request.param), prefix=uuid4().hex))


def test_what_is_put_is_got(store: ObjectStore) -> None:
    etag = store.put("a/b.json", b"one")
    found = store.get("a/b.json")
    assert (found.body, found.etag) == (b"one", etag)
    assert store.put("a/b.json", b"two") != etag
    assert store.get("a/b.json").body == b"two"


def test_what_is_not_there_is_not_found(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nothing"):
        store.get("nothing")
    with pytest.raises(NotFound):
        store.get_if_changed("nothing", None)
    with pytest.raises(NotFound):
        store.download("nothing", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []
    assert store.head("nothing") is None
    assert list(store.list("nothing")) == []
    store.delete(["nothing"])


def test_a_body_may_be_empty(store: ObjectStore, tmp_path: Path) -> None:
    store.put("empty", b"")
    assert store.get("empty").body == b""
    store.download("empty", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize("key", ["Ärger/größe.json", "猫/犬", "a b+c&d=e?f#g%h'i", "emoji 🐈.json"])
def test_keys_may_be_any_text(store: ObjectStore, key: str) -> None:
    etag = store.put_if_absent(key, b"x")
    assert [info.key for info in store.list("")] == [key]
    assert store.get(key).body == b"x"
    store.put_if_match(key, b"y", etag)
    store.delete([key])
    assert store.head(key) is None


def test_head_tells_size_and_etag(store: ObjectStore) -> None:
    etag = store.put("a", b"12345")
    info = store.head("a")
    assert info is not None
    assert (info.key, info.size, info.etag) == ("a", 5, etag)


@pytest.mark.parametrize(
    ("start", "most", "found"), [(0, 2, b"ab"), (2, 9, b"cde"), (4, 1, b"e"), (5, 3, b""), (9, 3, b""), (1, 0, b"")]
)
def test_a_part_of_an_object_is_got(store: ObjectStore, start: int, most: int, found: bytes) -> None:
    etag = store.put("a", b"abcde")
    part = store.get_range("a", start, most)
    assert (part.body, part.etag) == (found, etag)
    with pytest.raises(NotFound):
        store.get_range("nothing", start, most)


def test_an_unchanged_object_is_not_sent_again(store: ObjectStore) -> None:
    etag = store.put("a", b"one")
    assert store.get_if_changed("a", etag) is None
    first = store.get_if_changed("a", None)
    assert first is not None
    assert first.body == b"one"
    store.put("a", b"two")
    second = store.get_if_changed("a", etag)
    assert second is not None
    assert second.body == b"two"


def test_put_if_absent_writes_once(store: ObjectStore) -> None:
    etag = store.put_if_absent("a", b"one")
    with pytest.raises(AlreadyExists, match="a already exists"):
        store.put_if_absent("a", b"two")
    assert store.get("a").body == b"one"
    assert store.get("a").etag == etag
    store.delete(["a"])
    store.put_if_absent("a", b"three")


def test_put_if_match_writes_over_what_was_read(store: ObjectStore) -> None:
    first = store.put("a", b"one")
    second = store.put_if_match("a", b"two", first)
    assert store.get("a").etag == second
    with pytest.raises(Changed):
        store.put_if_match("a", b"three", first)
    assert store.get("a").body == b"two"


def test_put_if_match_of_what_is_gone_is_changed(store: ObjectStore) -> None:
    etag = store.put("a", b"one")
    store.delete(["a"])
    with pytest.raises(Changed):
        store.put_if_match("a", b"two", etag)
    assert store.head("a") is None


@pytest.mark.parametrize("present", [False, True])
def test_of_racing_writers_one_wins(store: ObjectStore, present: bool) -> None:
    etag = store.put("a", b"before") if present else ""
    start = Barrier(8)

    def write(number: int) -> int | None:
        body = b"%d" % number
        start.wait()
        try:
            store.put_if_match("a", body, etag) if present else store.put_if_absent("a", body)
        except Conflict:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(write, range(8)) if number is not None]
    assert [b"%d" % number for number in winners] == [store.get("a").body]


def test_listings_are_in_order_of_the_keys(store: ObjectStore) -> None:
    keys = ["labels/000000000002.parquet", "labels/000000000010.parquet", "labels/compact/000000000002.parquet"]
    for key in (*reversed(keys), "loop.json", "label"):
        store.put(key, key.encode())
    assert [info.key for info in store.list("labels/")] == keys
    assert [info.key for info in store.list("labels/0")] == keys[:2]
    assert [info.key for info in store.list("labels/", start_after=keys[0])] == keys[1:]
    assert [info.key for info in store.list("labels/", start_after="labels/000000000003.parquet")] == keys[1:]
    assert list(store.list("labels/", start_after="labels/z")) == []
    info = next(store.list("labels/"))
    assert (info.size, info.etag) == (len(keys[0]), store.get(keys[0]).etag)


def test_listings_of_odd_keys_within_a_folder_are_in_order_too(store: ObjectStore) -> None:
    """Beyond one folder order is the server's: for SeaweedFS all of ``b/`` comes before ``b-c``, for AWS after."""
    keys = sorted(["p/a", "p/b-c", "p/b.c", "p/b0", "p/B", "p/b c", "p/é", "p/中", "p/𝒳"])
    for key in keys:
        store.put(key, b"x")
    assert [info.key for info in store.list("p/")] == keys
    for n, key in enumerate(keys):
        assert [info.key for info in store.list("p/", start_after=key)] == keys[n + 1 :]


def test_folders_are_found_by_one_listing_whatever_they_hold(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_PAGE", 2)
    names = ["a", "a b", "a-b", "é", "z"]
    for name in names:
        for key in (f"{name}/task.json", f"{name}/runs/1", f"{name}/runs/2"):
            store.put(f"w/tasks/{key}", b"x")
    store.put("w/tasks/file", b"x")
    store.put("other/tasks/x/task.json", b"x")
    assert sorted(store.folders("w/tasks/")) == sorted(names)
    assert sorted(store.folders("")) == ["other", "w"]
    assert list(store.folders("w/tasks/a/runs/")) == []
    assert list(store.folders("nothing/")) == []


def test_listings_and_deletions_have_many_pages(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_PAGE", 10)
    keys = [f"many/{number:05d}" for number in range(25)]
    list_and_delete(store, keys)


@pytest.mark.integration
def test_listings_and_deletions_have_no_limit(seaweedfs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    servers.use_credentials(monkeypatch)
    list_and_delete(open_store(servers.settings(seaweedfs, "limit")), [f"many/{number:05d}" for number in range(2100)])


def list_and_delete(store: ObjectStore, keys: list[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.put(key, b""), keys))
    assert [info.key for info in store.list("many/")] == keys
    assert [info.key for info in store.list("many/", start_after=keys[12])] == keys[13:]
    store.delete(iter(keys))
    assert list(store.list("many/")) == []


def test_large_bodies_travel_whole(store: ObjectStore, tmp_path: Path) -> None:
    body = bytes(range(256)) * (LARGE // 256)
    (tmp_path / "sent").write_bytes(body)
    store.upload(tmp_path / "sent", "large")
    info = store.head("large")
    assert info is not None
    assert info.size == LARGE
    store.download("large", tmp_path / "deep" / "received")
    assert (tmp_path / "deep" / "received").read_bytes() == body
    etag = store.put("put", body)
    assert store.get("put").etag == etag
    etag = store.put_if_match("put", body[:-1], etag)
    assert store.get("put").body == body[:-1]


@pytest.mark.parametrize("count", [0, 1, 5])
def test_pieces_become_one_object(store: ObjectStore, count: int) -> None:
    pieces = [bytes([number]) * (4 << 20) for number in range(count)]
    store.put_pieces("pieces", lambda: iter(pieces))
    assert store.get("pieces").body == b"".join(pieces)
    store.put_pieces("pieces", lambda: iter([b"replaced"]))
    assert store.get("pieces").body == b"replaced"


def test_pieces_that_end_in_an_error_leave_nothing(store: ObjectStore) -> None:
    def pieces() -> Iterator[bytes]:
        yield bytes(20 << 20)
        raise Conflict("these are other bytes")

    with pytest.raises(Conflict, match="other bytes"):
        store.put_pieces("pieces", pieces)
    assert store.head("pieces") is None
    assert list(store.list("")) == []


def test_a_download_replaces_the_file_at_once(store: ObjectStore, tmp_path: Path) -> None:
    store.put("a", b"new")
    (tmp_path / "file").write_bytes(b"old, and longer")
    store.download("a", tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"new"


def test_the_probe_accepts_it_and_leaves_nothing(store: ObjectStore) -> None:
    probe(store)
    assert list(store.list("")) == []


@pytest.mark.integration
def test_a_lost_answer_on_a_real_server_is_no_lost_race(seaweedfs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    servers.use_credentials(monkeypatch)
    with proxy_to(seaweedfs) as proxy:
        store = open_store(servers.settings(proxy.endpoint, "lost"))
        proxy.fail(lose_answer)
        etag = store.put_if_absent("a", b"mine")
        proxy.fail(lose_answer)
        etag = store.put_if_match("a", b"mine too", etag)
        assert (store.get("a").body, store.get("a").etag) == (b"mine too", etag)
