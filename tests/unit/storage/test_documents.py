"""Documents in a store: tokens, races, updates."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar
from uuid import uuid4

import pytest

from tornio.errors import AlreadyExists, Changed, IntegrityError, NotFound
from tornio.schemas.base import Document
from tornio.storage import documents
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit


class Counter(Document):
    FORMAT: ClassVar[str] = "counter"
    value: int = 0


def test_what_is_created_is_loaded_with_its_etag() -> None:
    store = MemoryStore()
    written = documents.create(store, "c.json", Counter(value=3))
    found, etag = documents.load(store, "c.json", Counter)
    assert found == written
    assert found.value == 3
    assert etag == store.get("c.json").etag


def test_equal_documents_of_two_writers_differ_in_their_token() -> None:
    store = MemoryStore()
    first = documents.create(store, "a.json", Counter())
    second = documents.create(store, "b.json", Counter())
    assert first.writer != second.writer
    assert store.get("a.json").body != store.get("b.json").body


def test_create_refuses_and_create_or_get_yields_to_what_stands_there() -> None:
    store = MemoryStore()
    first = documents.create(store, "c.json", Counter(value=1))
    with pytest.raises(AlreadyExists):
        documents.create(store, "c.json", Counter(value=2))
    assert documents.create_or_get(store, "c.json", Counter(value=2)) == first


def test_find_tells_absent_from_broken() -> None:
    store = MemoryStore()
    assert documents.find(store, "c.json", Counter) is None
    with pytest.raises(NotFound):
        documents.load(store, "c.json", Counter)
    store.put("c.json", b"not json")
    with pytest.raises(IntegrityError, match=r"c\.json"):
        documents.find(store, "c.json", Counter)


def test_replace_needs_the_present_etag() -> None:
    store = MemoryStore()
    documents.create(store, "c.json", Counter())
    _, old = documents.load(store, "c.json", Counter)
    new = documents.replace(store, "c.json", Counter(value=1), old)
    assert documents.load(store, "c.json", Counter)[1] == new
    with pytest.raises(Changed):
        documents.replace(store, "c.json", Counter(value=2), old)


def test_no_update_of_a_race_is_lost() -> None:
    store = MemoryStore()
    documents.create(store, "c.json", Counter())

    def increment(_: int) -> None:
        documents.update(store, "c.json", Counter, lambda c: c.evolve(value=c.value + 1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(increment, range(40)))
    assert documents.load(store, "c.json", Counter)[0].value == 40


def test_an_update_that_changes_nothing_writes_nothing() -> None:
    store = MemoryStore()
    documents.create(store, "c.json", Counter(value=7))
    etag = store.get("c.json").etag
    assert documents.update(store, "c.json", Counter, lambda c: c.evolve(value=7)).value == 7
    assert store.get("c.json").etag == etag


def test_an_update_that_always_loses_says_so() -> None:
    def overwrite(operation: str, key: str) -> None:
        if operation == "put_if_match":
            store.put(key, Counter().encode(writer=uuid4().hex))

    store = MemoryStore(before=overwrite)
    documents.create(store, "c.json", Counter())
    with pytest.raises(Changed, match="in a row"):
        documents.update(store, "c.json", Counter, lambda c: c.evolve(value=c.value + 1))


def test_unknown_fields_survive_an_update() -> None:
    store = MemoryStore()
    store.put("c.json", b'{"format": "counter", "schema": 2, "value": 1, "of_tomorrow": [1]}')
    documents.update(store, "c.json", Counter, lambda c: c.evolve(value=2))
    body = store.get("c.json").body
    assert b'"of_tomorrow": [' in body
    assert b'"schema": 2' in body
