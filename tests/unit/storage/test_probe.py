"""The start-up probe: which stores it accepts, which it refuses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract import servers
from tornio.errors import InvalidInput, NotFound
from tornio.storage.memory import MemoryStore
from tornio.storage.port import ObjectInfo
from tornio.storage.probe import probe
from tornio.storage.s3 import S3Store

pytestmark = pytest.mark.unit


class IgnoresAbsent(MemoryStore):
    """Knows no If-None-Match, as ``rclone serve s3`` does."""

    def put_if_absent(self, key: str, body: bytes) -> str:
        return self.put(key, body)


class IgnoresMatch(MemoryStore):
    """Knows no If-Match."""

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        return self.put(key, body)


def test_an_honest_store_is_accepted_and_left_clean() -> None:
    store = MemoryStore()
    store.put("a", b"x")
    probe(store)
    assert [info.key for info in store.list("")] == ["a"]


@pytest.mark.parametrize(
    ("store", "condition"), [(IgnoresAbsent(), "If-None-Match"), (IgnoresMatch(), "If-Match")], ids=["absent", "match"]
)
def test_a_store_that_lets_two_win_is_refused_and_left_clean(store: MemoryStore, condition: str) -> None:
    with pytest.raises(InvalidInput, match=f"with {condition}, 4 of 4 concurrent writers won.*SeaweedFS"):
        probe(store)
    assert list(store.list("")) == []


class MakesBuckets(MemoryStore):
    """Has no bucket, and makes one for the first writer, as SeaweedFS does."""

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[ObjectInfo]:
        raise NotFound("The bucket does not exist. Create it.")

    def put(self, key: str, body: bytes) -> str:
        raise AssertionError("a bucket was made")

    put_if_absent = put


def test_no_bucket_is_made() -> None:
    with pytest.raises(NotFound, match="Create it"):
        probe(MakesBuckets())


def test_a_missing_bucket_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    servers.use_credentials(monkeypatch)
    with servers.moto() as endpoint, pytest.raises(NotFound, match="Create it"):
        probe(S3Store(servers.settings(endpoint, bucket="nowhere")))
