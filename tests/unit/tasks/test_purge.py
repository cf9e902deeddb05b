"""A purge: no object of the bucket has a deleted text any more, and nothing else is lost, wherever it was killed."""

from __future__ import annotations

import io
from collections.abc import Iterable
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tornio.models.port import Embedded
from tornio.pool.embeddings import EmbeddingCache, VectorMemory
from tornio.pool.purging import Purge
from tornio.pool.soft_labels import SoftLabelCache
from tornio.pool.written_views import WrittenViews
from tornio.records import Record, text_digest
from tornio.schemas.keys import llm_answers
from tornio.schemas.llm import Answer
from tornio.schemas.registry import EncoderUse
from tornio.schemas.tables import EMBEDDINGS, POOL, SCORE_INPUT, list_column
from tornio.spec import TaskSpec
from tornio.storage.memory import MemoryStore
from tornio.tasks import Task, Tasks, delete_records, export_labels, training_set

pytestmark = pytest.mark.unit

SPEC = TaskSpec.model_validate(
    {"workspace": "care", "name": "tickets", "labels": ["a", "b"], "loop": {"holdout_share": 0.2}}
)
USE = EncoderUse(digest="ab" * 32, pooling="mean", normalise=False, max_length=32)


class Killed(BaseException):
    """The process is gone."""


def text_of(name: str) -> str:
    return f"Secret-{name}-words"


class World:
    """A task with everything that is made from its texts."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        Tasks(self.store).apply(SPEC, "test")
        self.names: list[str] = []
        self.purged = 0

    @property
    def task(self) -> Task:
        """The task as a new process reads it."""
        return Tasks(self.store).open("care", "tickets")

    def add(self, count: int) -> None:
        new = [f"n{len(self.names) + place:03d}x" for place in range(count)]
        self.names += new
        self.task.add_records([Record(name, text_of(name), {"note": f"{text_of(name)}-meta"}) for name in new])

    def label(self, names: Iterable[str]) -> None:
        self.task.import_labels([(Record(name, text_of(name)), ["a"]) for name in names], "train", "file")

    def delete(self, names: Iterable[str]) -> None:
        delete_records(self.task, list(names), "ops")

    def derive(self) -> None:
        """Fill the caches, and score the pool as a file of its own."""
        task = self.task
        view = task.view()
        cache = EmbeddingCache(self.store, task.keys, VectorMemory(0))
        for _ in cache.parts(view, USE, "float32", embed):
            pass
        SoftLabelCache(self.store, task.keys, "teacher", ["a", "b"], "t").probabilities(
            view, lambda part: np.array([[len(text), 1.0] for text in part.texts], dtype=np.float32)
        )
        live = [text for text in view.texts if text]
        if live:
            WrittenViews(self.store, task.keys, "aug").keep({text: [f"{text} again"] for text in live})
        for text in live:
            answer = Answer(probabilities=(0.5, 0.5), measured=True, structured=True)
            self.store.put(f"{llm_answers('q')}{text_digest(text)}.json", answer.encode())
        keys = task.keys.run(f"score-{self.purged}")
        rows = [{"row": n, "record_id": f"f{n}", "text": text, "given": ["a"]} for n, text in enumerate(live)]
        body = SCORE_INPUT.encode(pa.Table.from_pylist(rows, schema=SCORE_INPUT.columns))
        for folder in ("input", "scores"):
            self.store.put(keys.part(folder, 0), body)
        columns = [
            pa.array([f"f{n}" for n in range(len(live))], pa.string()),
            list_column(embed(live).vectors),
            pa.array([False] * len(live)),
        ]
        table = pa.Table.from_arrays(columns, schema=EMBEDDINGS.columns)
        self.store.put(keys.part("embeddings", 0), EMBEDDINGS.encode(table))
        self.store.put(keys.root + "report.html", " ".join(live).encode())

    def purge(self, kill_at: int | None = None) -> bool:
        """Purge, and be killed after so many writes. Return whether it came to its end."""
        self.purged += 1
        task, writes = self.task, 0
        deleted = task.labels.read().deleted

        def count(operation: str, key: str) -> None:
            nonlocal writes
            writes += operation in ("put", "put_if_match", "delete")
            if writes == kill_at:
                raise Killed

        def render(run: str) -> None:
            key = task.keys.run(run).part("scores", 0)
            texts = pq.read_table(io.BytesIO(self.store.get(key).body))["text"].to_pylist()
            self.store.put(task.keys.run(run).root + "report.html", " ".join(texts).encode())

        self.store.after = count
        try:
            Purge(self.store, task.keys, deleted, render).run()
        except Killed:
            return False
        finally:
            self.store.after = None
        return True

    def found(self, name: str) -> list[str]:
        """The objects in which a text of this record, or its digest, can be found."""
        marks = [text_of(name).encode(), text_of(name).lower().encode(), text_digest(text_of(name)).encode()]
        return [
            info.key
            for info in self.store.list("")
            if any(mark in content for mark in marks for content in contents(info.key, self.store.get(info.key).body))
        ]


def embed(texts: Iterable[str]) -> Embedded:
    vectors = np.array([list(sha256(text.encode()).digest()[:4]) for text in texts], dtype=np.float32).reshape(-1, 4)
    return Embedded(vectors, np.zeros(len(vectors), dtype=bool))


def contents(key: str, body: bytes) -> list[bytes]:
    """The bytes of an object, its key, and where it is Parquet, all its values and its statistics."""
    if not body.startswith(b"PAR1"):
        return [key.encode(), body]
    read = pq.ParquetFile(io.BytesIO(body))
    return [key.encode(), body, repr(read.read().to_pydict()).encode(), repr(read.metadata.to_dict()).encode()]


def vectors_of(world: World) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for info in world.store.list(world.task.keys.embedded):
        table = EMBEDDINGS.decode(world.store.get(info.key).body)
        found |= dict(zip(table["record_id"].to_pylist(), table["embedding"].to_pylist(), strict=True))
    return found


def check(world: World, gone: set[str]) -> None:
    for name in world.names:
        where = world.found(name)
        if name in gone:
            assert where == [], f"{name} was deleted and purged"
        else:
            assert any("/pool/" in key for key in where), f"{name} was not deleted"
    view = world.task.view()
    assert view.record_ids == world.names
    assert list(view.texts) == ["" if name in gone else text_of(name) for name in world.names]
    living = [name for name in world.names if name not in gone]
    assert all(view.record(name).metadata == {"note": f"{text_of(name)}-meta"} for name in living)
    vectors = vectors_of(world)
    nothing = [[0.0] * 4, embed([""]).vectors[0].tolist()]  # purged, or computed since
    assert all(vectors[name] in nothing for name in gone if name in vectors)
    for name in set(living) & vectors.keys():
        assert vectors[name] == embed([text_of(name)]).vectors[0].tolist()


OPERATION = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 4)),
    st.tuples(st.just("label"), st.sets(st.integers(0, 9), max_size=4)),
    st.tuples(st.just("delete"), st.sets(st.integers(0, 9), min_size=1, max_size=3)),
    st.tuples(st.just("derive"), st.none()),
    st.tuples(st.just("purge"), st.integers(1, 12)),
)


@settings(max_examples=20, deadline=None)
@given(st.lists(OPERATION, max_size=10))
def test_whatever_happens_no_deleted_text_outlives_a_purge_and_no_other_is_lost(
    steps: list[tuple[str, object]],
) -> None:
    world, gone, labelled = World(), set[str](), set[str]()
    world.add(4)
    world.derive()
    for operation, value in steps:
        chosen = {world.names[n] for n in value if n < len(world.names)} if isinstance(value, set) else set()
        if operation == "add":
            assert isinstance(value, int)
            world.add(value)
        elif operation == "label" and chosen - gone:
            world.label(sorted(chosen - gone))
            labelled |= chosen
        elif operation == "delete" and chosen:
            world.delete(sorted(chosen))
            gone |= chosen
        elif operation == "derive":
            world.derive()
        elif operation == "purge":
            assert isinstance(value, int)
            world.purge(kill_at=value)
    assert world.purge()
    check(world, gone)
    task = world.task
    assert {one.record_id for one in export_labels(task).records} == labelled - gone
    before = {info.key: info.etag for info in world.store.list("")}
    assert world.purge()
    assert before == {info.key: info.etag for info in world.store.list("")}, "a second purge does nothing"


def test_killed_after_any_write_the_next_purge_ends_it() -> None:
    at = 1
    while True:
        world = World()
        world.add(6)
        world.label(world.names[:3])
        world.derive()
        world.add(3)
        world.derive()
        world.delete([world.names[1], world.names[7]])
        ended = world.purge(kill_at=at)
        assert ended or world.purge()
        check(world, {world.names[1], world.names[7]})
        if ended:
            break
        at += 1
    assert at > 10


def test_a_text_that_another_record_has_stays_with_it() -> None:
    world = World()
    world.add(2)
    task = world.task
    task.add_records([Record("twin", text_of(world.names[0]))])
    world.derive()
    world.delete([world.names[0]])
    world.purge()
    view = world.task.view()
    assert (view.record("twin").text, view.texts[0]) == (text_of(world.names[0]), "")
    assert {key.split("/")[3] for key in world.found(world.names[0]) if key.startswith("care")} == {
        "pool", "runs", "written-views",
    }  # fmt: skip


def test_frozen_views_positions_caches_and_later_columns_outlive_a_purge() -> None:
    world = World()
    world.add(3)
    key = world.task.keys.pool_part(1)
    table = POOL.decode(world.store.get(key).body)
    later = table.append_column("language", pa.array(["en", "de", "fr"]))
    world.store.put(key, POOL.encode(later, {"writer": "w"}))
    world.label(world.names)
    seq = world.task.labels.last_seq()
    world.derive()
    names = [info.key for info in world.store.list(world.task.keys.embedded)]
    digest = world.task.view().parts[0].digest
    gone, *stay = world.names
    world.delete([gone])
    world.purge()
    task = world.task
    assert task.view().parts[0].digest == digest
    assert POOL.decode(world.store.get(key).body)["language"].to_pylist() == ["en", "de", "fr"]
    assert training_set(task, seq, 1).record_ids == tuple(sorted(stay))

    def never(texts: Iterable[str]) -> Embedded:
        raise AssertionError("the vectors of other records were lost")

    cache = EmbeddingCache(world.store, task.keys, VectorMemory(0))
    assert len(list(cache.parts(task.view(), USE, "float32", never))) == 1
    assert [info.key for info in world.store.list(task.keys.embedded)] == names
    soft = SoftLabelCache(world.store, task.keys, "teacher", ["a", "b"], "t")
    found = soft.probabilities(task.view(), lambda part: pytest.fail("the soft labels of others were lost"))
    assert np.isnan(found[0]).all()
    assert not np.isnan(found[1:]).any()


def test_a_process_that_read_the_pool_before_forgets_the_text_with_the_tombstone() -> None:
    world = World()
    world.add(3)
    old = world.task
    assert old.view().texts[0] == text_of(world.names[0])
    world.delete([world.names[0]])
    world.purge()
    assert old.view().texts[0] == ""
    assert old.view().parts[0].digest == world.task.view().parts[0].digest


def test_two_purges_at_once_do_no_harm() -> None:
    world = World()
    world.add(4)
    world.derive()
    world.delete(world.names[:2])
    task = world.task
    other = [False]

    def between(operation: str, key: str) -> None:
        if operation == "put_if_match" and not other[0]:
            other[0] = True
            Purge(world.store, task.keys, frozenset(world.names[:2]), lambda _run: None).run()

    world.store.before = between
    Purge(world.store, task.keys, frozenset(world.names[:2]), lambda _run: None).run()
    world.store.before = None
    view = world.task.view()
    assert [bool(text) for text in view.texts] == [False, False, True, True]
