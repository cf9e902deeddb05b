"""How a replica puts together what the controller says and what the store has."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.classifier.aliases import AliasReader, heard, looked_up
from services.messages import Aliases
from tornio.errors import NotFound
from tornio.schemas.keys import TaskKeys
from tornio.schemas.registry import Alias
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit

V1, V2 = Aliases(("v1", 1)), Aliases(("v2", 2), "v1", "v2")


def alias(name: str, version: str, revision: int, previous: str | None = None) -> bytes:
    return Alias(
        alias=name,
        version=version,
        revision=revision,
        previous=previous,
        who="test",
        why="test",
        moved_at=datetime(2026, 1, 1, tzinfo=UTC),
    ).encode()


def test_documents_become_aliases() -> None:
    current = Alias.decode(alias("current", "v2", 2, "v1"), "current")
    candidate = Alias.decode(alias("candidate", "v2", 5), "candidate")
    assert Aliases.of(current, candidate) == V2
    assert Aliases.of(None, None) == Aliases()
    assert V2.named == {"v1", "v2"}


def test_a_controller_that_has_just_started_takes_nothing_away() -> None:
    assert heard({"w/a": V2, "w/b": V1}, {}) == {"w/a": V2, "w/b": V1}
    assert heard({"w/a": V2}, {"w/a": Aliases(), "w/b": V1}) == {"w/a": V2, "w/b": V1}
    assert heard({"w/a": V2}, {"w/a": V1}) == {"w/a": V2}
    assert heard({"w/a": V1}, {"w/a": V2}) == {"w/a": V2}


def test_the_store_is_the_truth_except_for_what_was_heard_while_it_was_read() -> None:
    before = {"w/gone": V2, "w/anew": V2, "w/same": V1, "w/raced": V1}
    known = {**before, "w/raced": V2, "w/new": V1}
    found = {"w/anew": V1, "w/same": V1, "w/raced": V1, "w/found": V2}
    assert looked_up(known, before, found) == {
        "w/anew": V1,
        "w/same": V1,
        "w/raced": V2,
        "w/new": V1,
        "w/found": V2,
    }
    assert looked_up({"w/a": V1}, {"w/a": V1}, {}, broken=frozenset({"w/a"})) == {"w/a": V1}


def test_an_alias_is_read_again_only_when_it_has_moved() -> None:
    store = MemoryStore()
    keys = TaskKeys("w", "a")
    store.put(keys.document, b"{}")
    reader = AliasReader(store)
    assert reader.read("w/a") == Aliases()
    store.put(keys.alias("current"), alias("current", "v2", 2, "v1"))
    store.put(keys.alias("candidate"), alias("candidate", "v3", 5))
    assert reader.read_all() == ({"w/a": Aliases(("v2", 2), "v1", "v3")}, frozenset())
    bodies = []
    original = store.get_if_changed

    def spy(key: str, etag: str | None) -> object:
        found = original(key, etag)
        bodies.append(found)
        return found

    store.get_if_changed = spy  # type: ignore[method-assign, assignment]
    assert reader.read("w/a") == Aliases(("v2", 2), "v1", "v3")
    assert bodies == [None, None]
    with pytest.raises(NotFound, match="w/b"):
        reader.read("w/b")


def test_one_task_with_a_broken_alias_hides_no_other() -> None:
    store = MemoryStore()
    for task in "ab":
        store.put(TaskKeys("w", task).document, b"{}")
    store.put(TaskKeys("w", "a").alias("current"), b"not json")
    store.put(TaskKeys("w", "b").alias("current"), alias("current", "v1", 1))
    assert AliasReader(store).read_all() == ({"w/b": V1}, frozenset({"w/a"}))
