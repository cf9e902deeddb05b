"""Embeddings are computed once: a process keeps them, and the next finds them in the store."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tornio.arrays import FloatMatrix
from tornio.models.port import Embedded
from tornio.pool import Pool
from tornio.pool.embeddings import EmbeddingCache, VectorMemory
from tornio.pool.view import PoolView
from tornio.records import Record
from tornio.schemas.keys import TaskKeys
from tornio.schemas.registry import EncoderUse
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit

KEYS = TaskKeys("care", "tickets")
USE = EncoderUse(digest="e" * 64, pooling="mean", normalise=True, max_length=256)


class Encoder:
    """Embeds a text as its length and its first letter, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> Embedded:
        self.asked.append(list(texts))
        rows = [(len(text), ord(text[0])) for text in texts]
        return Embedded(np.array(rows, np.float32).reshape(-1, 2), np.array([len(t) > 3 for t in texts], np.bool_))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def pool(store: MemoryStore) -> Pool:
    pool = Pool(store, KEYS)
    pool.append([Record("a", "one"), Record("b", "three")])
    pool.append([Record("c", "fifteen")])
    return pool


def cache(store: MemoryStore) -> EmbeddingCache:
    return EmbeddingCache(store, KEYS, VectorMemory(1 << 20))


def vectors(kept: EmbeddingCache, view: PoolView, use: EncoderUse, precision: str, encoder: Encoder) -> Embedded:
    parts = list(kept.parts(view, use, precision, encoder))
    return Embedded(np.concatenate([p.vectors for p in parts]), np.concatenate([p.truncated for p in parts]))


def test_the_whole_pool_in_its_order(store: MemoryStore, pool: Pool) -> None:
    encoder, kept = Encoder(), cache(store)
    embedded = vectors(kept, pool.read(), USE, "float32", encoder)
    assert embedded.vectors.tolist() == [[3, ord("o")], [5, ord("t")], [7, ord("f")]]
    assert embedded.truncated.tolist() == [False, True, True]
    assert encoder.asked == [["one", "three"], ["fifteen"]]
    assert vectors(kept, pool.read(1), USE, "float32", encoder).vectors.shape == (2, 2)
    pool.append([Record("d", "x")])
    assert vectors(kept, pool.read(), USE, "float32", encoder).vectors.shape == (4, 2)
    assert encoder.asked[2:] == [["x"]], "only what is new is embedded"


def test_another_process_finds_them_in_the_store(store: MemoryStore, pool: Pool) -> None:
    first = vectors(cache(store), pool.read(), USE, "float32", Encoder())
    encoder = Encoder()
    second = vectors(cache(store), Pool(store, KEYS).read(), USE, "float32", encoder)
    assert encoder.asked == []
    assert second.vectors.dtype == np.float32
    np.testing.assert_array_equal(second.vectors, first.vectors)
    np.testing.assert_array_equal(second.truncated, first.truncated)


@pytest.mark.parametrize(
    ("use", "precision"),
    [
        (USE.evolve(digest="f" * 64), "float32"),
        (USE.evolve(pooling="cls"), "float32"),
        (USE.evolve(normalise=False), "float32"),
        (USE.evolve(max_length=128), "float32"),
        (USE.evolve(layer=-2), "float32"),
        (USE.evolve(layers=(-2, -1)), "float32"),
        (USE, "bfloat16"),
    ],
)
def test_whatever_changes_an_embedding_is_part_of_its_name(
    store: MemoryStore, pool: Pool, use: EncoderUse, precision: str
) -> None:
    kept, encoder = cache(store), Encoder()
    vectors(kept, pool.read(1), USE, "float32", encoder)
    vectors(kept, pool.read(1), use, precision, encoder)
    assert len(encoder.asked) == 2


def test_a_broken_file_is_made_again(store: MemoryStore, pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    vectors(cache(store), pool.read(1), USE, "float32", Encoder())
    (broken,) = [info.key for info in store.list(KEYS.root + "embeddings/")]
    store.put(broken, b"nonsense")
    encoder = Encoder()
    vectors(cache(store), pool.read(1), USE, "float32", encoder)
    assert len(encoder.asked) == 1
    assert "Embedding 2 texts again" in caplog.text
    assert vectors(cache(store), pool.read(1), USE, "float32", Encoder()).vectors.shape == (2, 2)


def test_an_empty_pool_has_no_parts(store: MemoryStore) -> None:
    empty = Pool(store, TaskKeys("care", "other")).read()
    assert list(cache(store).parts(empty, USE, "float32", Encoder())) == []


def test_rows_are_computed_part_by_part_and_come_in_the_order_asked(store: MemoryStore, pool: Pool) -> None:
    kept, shapes = cache(store), []

    def lengths(found: FloatMatrix) -> FloatMatrix:
        shapes.append(found.shape)
        return found[:, :1]

    rows = np.array([2, 0, 1, 2])
    assert kept.mapped(pool.read(), rows, USE, "float32", Encoder(), lengths).tolist() == [[7], [3], [5], [7]]
    assert shapes == [(2, 2), (2, 2)]
    with pytest.raises(IndexError, match="pool of 3"):
        kept.mapped(pool.read(), np.array([0, 3]), USE, "float32", Encoder(), lengths)


def test_shared_arrays_cannot_be_written_to(store: MemoryStore, pool: Pool) -> None:
    (shared,) = cache(store).parts(pool.read(1), USE, "float32", Encoder())
    with pytest.raises(ValueError, match="read-only"):
        shared.vectors[0, 0] = 9


def test_memory_lets_go_of_what_was_used_longest_ago() -> None:
    memory = VectorMemory(100)
    ten = Embedded(np.zeros((5, 2), np.float32), np.zeros(5, np.bool_))  # 40 bytes
    memory.put("a", ten)
    memory.put("b", ten)
    assert memory.get("a") is ten
    memory.put("c", ten)
    assert [memory.get(name) is not None for name in "abc"] == [True, False, True]
    memory.put("huge", Embedded(np.zeros((50, 2), np.float32), np.zeros(50, np.bool_)))
    assert memory.get("huge") is None
