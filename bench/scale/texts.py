"""Costs of texts and labels: the real pool, label log and cache of embeddings over a store in memory."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from bench.scale.measuring import CountingStore, held, spent
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.log import LabelLog
from tornio.labels.pull import COMPACT_EVERY
from tornio.models.port import Embedded
from tornio.pool import Pool
from tornio.pool.embeddings import EmbeddingCache, VectorMemory
from tornio.records import Purpose, Record
from tornio.schemas.registry import EncoderUse
from tornio.spec import TaskSpec
from tornio.tasks import Counter as TaskCounter
from tornio.tasks import Tasks

CHARACTERS = 200
"""Length of a text, about."""
WIDTH = 4 * 384
"""Numbers of an embedding: four layers of MiniLM, which the default few-shot head reads."""
APPENDED = 10_000
_WORDS = tuple("".join(random.Random(n).choices("abcdefghijklmnopqrstuvwxyz", k=2 + n % 9)) for n in range(20_000))


@dataclass(frozen=True)
class PoolCosts:
    """Of a pool of so many texts. ``recount``: processor seconds in which the controller counts what is left to ask,
    after each new part of the label log."""

    texts: int
    stored: int
    objects: int
    held: int
    open_seconds: float
    recount_seconds: float


@dataclass(frozen=True)
class LogCosts:
    """Of a label log, written in parts of so many labels, as answers arrive."""

    labels: int
    part: int
    stored: int
    snapshots: int
    objects: int
    held: int
    open_seconds: float


def records(count: int) -> Iterable[Record]:
    """Yield texts of made-up words, of which some are frequent."""
    drawn = random.Random(0)
    for number in range(count):
        text = ""
        while len(text) < CHARACTERS - 4:
            text += _WORDS[int(len(_WORDS) * drawn.random() ** 3)] + " "
        yield Record(f"r{number:010d}", text + str(number))


def _store_with_pool(count: int) -> CountingStore:
    store = CountingStore(Counter())
    spec = {"workspace": "bench", "name": "texts", "labels": ["yes", "no"], "teacher": {"kind": "none"}}
    Tasks(store).apply(TaskSpec.model_validate(spec), "bench")
    pool, waiting = Tasks(store).open("bench", "texts").pool, list(records(count))
    for start in range(0, count, APPENDED):
        pool.append(waiting[start : start + APPENDED])
    return store


def pool_costs(count: int) -> PoolCosts:
    store = _store_with_pool(count)
    objects, stored = store.size("/pool/")
    task = Tasks(store).open("bench", "texts")
    with spent() as opening:
        Pool(store, task.keys).read()
    with held() as kept:
        pool = Pool(store, task.keys)
        view = pool.read()
        _ = view.record_ids  # as the controller and the jobs read them
    counter = TaskCounter(task)
    for number in range(2):  # the first count also computes what later ones remember
        task.labels.append([_event(100 * number + row) for row in range(100)])
        with spent() as counting:
            assert counter.count(task.labels.read(), ()).queryable > 0
    return PoolCosts(count, stored, objects, kept.held, opening.seconds, counting.seconds)


def embedded_bytes() -> float:
    """Return the bytes in the store of the embedding of a text."""
    store = CountingStore(Counter())
    keys = Tasks(_filled := _store_with_pool(1_000)).open("bench", "texts").keys
    view = Pool(_filled, keys).read()
    random_state = np.random.default_rng(0)

    def embed(texts: object) -> Embedded:
        vectors = random_state.standard_normal((len(view), WIDTH), dtype=np.float32)
        return Embedded(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.zeros(len(view), dtype=np.bool_))

    use = EncoderUse(digest="ab" * 32, pooling="mean", normalise=True, max_length=256)
    list(EmbeddingCache(store, keys, VectorMemory(0)).parts(view, use, "float32", embed))
    return store.size()[1] / len(view)


def log_costs(count: int, part: int) -> LogCosts:
    store = CountingStore(Counter())
    keys = Tasks(_store_with_pool(10)).open("bench", "texts").keys.label_log
    log = LabelLog(store, keys)
    for start in range(0, count, part):
        seq = log.append([_event(number) for number in range(start, min(start + part, count))])
        if seq is not None and seq % COMPACT_EVERY == 0:
            log.compact(seq)
    objects, stored = store.size()
    _, snapshots = store.size(keys.snapshots)
    with spent() as opening:
        LabelLog(store, keys).read()
    with held() as kept:
        fresh = LabelLog(store, keys)
        fresh.read()
    return LogCosts(count, part, stored, snapshots, objects, kept.held, opening.seconds)


def _event(number: int) -> LabelEvent:
    return LabelEvent(
        event=EventKind.ANSWER,
        record_id=f"r{number:010d}",
        labels=("yes" if number % 3 else "no",),
        label_set_rev=1,
        source="argilla",
        annotator=f"annotator-{number % 5}",
        response_id=f"{number:032x}",
        response_updated_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
        dataset="texts",
        batch_id=f"g1-b{number // 20:04d}",
        purpose=Purpose.QUERY,
    )
