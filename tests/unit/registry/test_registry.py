"""Versions and aliases: publish, move, roll back, history."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.unit.registry.example import KEYS, manifest, model_folder
from tornio.errors import Changed, InvalidInput, NotFound, NotServable
from tornio.registry import CURRENT, Registry
from tornio.schemas import keys
from tornio.schemas.registry import Alias
from tornio.storage import documents
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit


class KilledError(Exception):
    """Stands for a kill of the process."""


def registry_with(*versions: str, store: MemoryStore | None = None) -> Registry:
    registry = Registry(store or MemoryStore(), KEYS)
    for minute, version in enumerate(versions):
        documents.create(registry._store, KEYS.version(version), manifest(version, minute))
    return registry


def test_a_published_version_names_the_blobs_of_its_folder(tmp_path: Path) -> None:
    store = MemoryStore()
    published = Registry(store, KEYS).publish(manifest("v1"), model_folder(tmp_path))
    assert set(published.blobs) == {"head.safetensors", "deep/head.json"}
    blob = published.blobs["head.safetensors"]
    assert blob.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert store.get(keys.blob(blob.sha256)).body == b"weights"
    assert Registry(store, KEYS).manifest("v1") == published


def test_publishing_again_yields_to_the_first(tmp_path: Path) -> None:
    registry = Registry(MemoryStore(), KEYS)
    first = registry.publish(manifest("v1"), model_folder(tmp_path / "a", "weights"))
    second = registry.publish(manifest("v1"), model_folder(tmp_path / "b", "other weights"))
    assert second == first


def test_a_blob_left_truncated_is_uploaded_again(tmp_path: Path) -> None:
    store = MemoryStore()
    key = keys.blob(hashlib.sha256(b"weights").hexdigest())
    store.put(key, b"weig")
    Registry(store, KEYS).publish(manifest("v1"), model_folder(tmp_path))
    assert store.get(key).body == b"weights"


def test_racing_publishers_agree(tmp_path: Path) -> None:
    store, start = MemoryStore(), Barrier(4)

    def publish(number: int) -> str | None:
        folder = model_folder(tmp_path / str(number), f"weights {number}")
        start.wait()
        return Registry(store, KEYS).publish(manifest("v1"), folder).writer

    with ThreadPoolExecutor(4) as pool:
        writers = set(pool.map(publish, range(4)))
    assert writers == {Registry(store, KEYS).manifest("v1").writer}


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nothing to publish"):
        Registry(MemoryStore(), KEYS).publish(manifest(), tmp_path)


def test_versions_come_in_the_order_they_were_made() -> None:
    registry = registry_with("v2", "v10", "v1")
    assert [m.version for m in registry.versions()] == ["v2", "v10", "v1"]


def test_an_alias_moves_and_remembers() -> None:
    registry = registry_with("v1", "v2")
    assert registry.alias(CURRENT) is None
    assert registry.history(CURRENT) == ()
    first = registry.move(CURRENT, "v1", 0, "controller", "first")
    second = registry.move(CURRENT, "v2", 1, "controller", "better")
    assert (first.revision, first.previous) == (1, None)
    assert (second.revision, second.previous) == (2, "v1")
    assert registry.alias(CURRENT) == second
    assert [(a.revision, a.why) for a in registry.history(CURRENT)] == [(2, "better"), (1, "first")]


def test_a_move_made_twice_counts_once() -> None:
    registry = registry_with("v1", "v2")
    first = registry.move(CURRENT, "v1", 0, "controller", "first")
    assert registry.move(CURRENT, "v1", 0, "controller", "again") == first
    assert registry.move(CURRENT, "v1", 1, "controller", "already there") == first
    second = registry.move(CURRENT, "v2", 1, "controller", "better")
    assert registry.move(CURRENT, "v2", 1, "controller", "again") == second
    assert len(registry.history(CURRENT)) == 2


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_a_move_from_another_revision_is_refused(expected: int) -> None:
    registry = registry_with("v1", "v2", "v3")
    registry.move(CURRENT, "v1", 0, "controller", "")
    registry.move(CURRENT, "v2", 1, "controller", "")
    with pytest.raises(Changed, match="revision 2"):
        registry.move(CURRENT, "v3", expected, "controller", "")


def test_a_move_of_an_alias_that_is_not_there_starts_at_zero() -> None:
    with pytest.raises(Changed, match="revision 0"):
        registry_with("v1").move(CURRENT, "v1", 1, "controller", "")


def test_an_alias_never_names_a_version_that_is_not_there() -> None:
    with pytest.raises(NotFound, match="v9"):
        registry_with("v1").move(CURRENT, "v9", 0, "controller", "")


@pytest.mark.parametrize("expected", [0, 1])
def test_of_racing_moves_one_wins(expected: int) -> None:
    registry, start = registry_with("v0", "v1", "v2", "v3"), Barrier(3)
    if expected:
        registry.move(CURRENT, "v0", 0, "controller", "")

    def move(version: str) -> Alias | None:
        start.wait()
        try:
            return registry.move(CURRENT, version, expected, version, "race")
        except Changed:
            return None

    with ThreadPoolExecutor(3) as pool:
        won = [alias for alias in pool.map(move, ["v1", "v2", "v3"]) if alias]
    assert won == [registry.alias(CURRENT)]
    assert len(registry.history(CURRENT)) == expected + 1


@pytest.mark.parametrize("operation", ["put_if_absent", "put_if_match"])
def test_a_kill_in_mid_move_leaves_history_whole(operation: str) -> None:
    store = MemoryStore()
    registry = registry_with("v1", "v2", store=store)
    registry.move(CURRENT, "v1", 0, "controller", "first")

    def kill(done: str, key: str) -> None:
        if done == operation:
            raise KilledError

    store.after = kill
    with pytest.raises(KilledError):
        registry.move(CURRENT, "v2", 1, "controller", "better")
    store.after = None
    registry.move(CURRENT, "v2", 1, "controller", "better")
    assert [(a.revision, a.version) for a in registry.history(CURRENT)] == [(2, "v2"), (1, "v1")]


def test_a_rollback_is_a_move_to_the_previous_version() -> None:
    registry = registry_with("v1", "v2")
    registry.move(CURRENT, "v1", 0, "controller", "")
    registry.move(CURRENT, "v2", 1, "controller", "")
    back = registry.rollback("ana", "bad on bills")
    assert (back.version, back.previous, back.revision, back.who) == ("v1", "v2", 3, "ana")


def test_each_rollback_goes_one_further_back_and_never_to_what_was_rolled_back() -> None:
    registry = registry_with("v1", "v2", "v3", "v4")
    for revision, version in enumerate(("v1", "v2", "v3")):
        registry.move(CURRENT, version, revision, "controller", "")
    assert registry.rollback("ana", "").version == "v2"
    assert registry.rollback("ana", "").version == "v1"
    with pytest.raises(NotFound, match="No version served support/tickets before v1"):
        registry.rollback("ana", "")
    registry.move(CURRENT, "v4", 5, "controller", "")
    assert registry.rollback("ana", "").version == "v1"


def test_the_rollback_of_a_rollback_by_an_earlier_release_counts_as_a_move() -> None:
    registry = registry_with("v1", "v2")
    for revision, (version, cause) in enumerate((("v1", "promotion"), ("v2", "promotion"), ("v1", "rollback"))):
        registry.move(CURRENT, version, revision, "ana", "", cause)
    registry.move(CURRENT, "v2", 3, "ana", "", "rollback")
    assert registry.rollback("ana", "").version == "v1"


def test_a_rollback_sent_twice_is_noticed() -> None:
    registry = registry_with("v1", "v2")
    registry.move(CURRENT, "v1", 0, "controller", "")
    registry.move(CURRENT, "v2", 1, "controller", "")
    registry.rollback("ana", "", expected_revision=2)
    with pytest.raises(Changed):
        registry.rollback("ana", "", expected_revision=2)


def test_a_rollback_with_nothing_to_go_back_to_says_so() -> None:
    registry = registry_with("v1")
    with pytest.raises(NotServable, match="support/tickets"):
        registry.rollback("ana", "")
    registry.move(CURRENT, "v1", 0, "controller", "")
    with pytest.raises(NotFound, match="No version served support/tickets before v1"):
        registry.rollback("ana", "")


class AliasMoves(RuleBasedStateMachine):
    """Moves from any revision, rollbacks and kills, against a plain list of the versions that were named."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.registry = registry_with("v1", "v2", "v3", store=self.store)
        self.named: list[str] = []
        self.served: list[str] = []

    @rule(version=st.sampled_from(["v1", "v2", "v3"]), lag=st.integers(-1, 2))
    def move(self, version: str, lag: int) -> None:
        expected = max(0, len(self.named) - lag)
        there = bool(self.named) and self.named[-1] == version and len(self.named) - expected in (0, 1)
        try:
            moved = self.registry.move(CURRENT, version, expected, "controller", "")
        except Changed:
            assert expected != len(self.named)
            return
        if there:
            assert moved.revision == len(self.named)
        else:
            assert expected == len(self.named)
            self.promoted(version)

    @rule(version=st.sampled_from(["v1", "v2", "v3"]), writes=st.integers(1, 2))
    def move_and_die(self, version: str, writes: int) -> None:
        left = writes

        def kill(operation: str, key: str) -> None:
            nonlocal left
            left -= operation.startswith("put")
            if left == 0:
                raise KilledError

        self.store.after = kill
        with suppress(KilledError):
            self.registry.move(CURRENT, version, len(self.named), "controller", "")
        self.store.after = None
        present = self.registry.alias(CURRENT)
        if present is not None and present.revision > len(self.named):
            self.promoted(version)

    def promoted(self, version: str) -> None:
        self.named.append(version)
        if self.served[-1:] != [version]:
            self.served.append(version)

    @rule()
    def rollback(self) -> None:
        try:
            moved = self.registry.rollback("ana", "")
        except (NotFound, NotServable):
            assert len(self.served) < 2
        else:
            self.served.pop()
            assert moved.version == self.served[-1]
            self.named.append(moved.version)

    @invariant()
    def history_is_complete(self) -> None:
        past = self.registry.history(CURRENT)
        assert [(a.revision, a.version) for a in reversed(past)] == list(enumerate(self.named, 1))
        assert [a.previous for a in reversed(past)] == [None, *self.named[:-1]][: len(self.named)]


TestAliasMoves = AliasMoves.TestCase
TestAliasMoves.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
