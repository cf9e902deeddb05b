"""Take the texts of deleted records out of the store: out of the pool, and of everything that was made from it.

It may be killed at any line and started again, and several may run at once. Every change of an object is a
compare-and-swap. The parts of the pool come last, because they say which texts are meant; a part that has none left is
done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tornio.errors import Changed, NotFound
from tornio.pool.blank import digest_of, digests_of, rows_of
from tornio.pool.rewriting import (
    Change,
    purged_part,
    rewritten,
    rows_with,
    without_numbers,
    without_rows,
    without_texts,
    without_views,
)
from tornio.schemas.keys import LLM_ANSWERS, RunKeys, TaskKeys
from tornio.schemas.tables import POOL
from tornio.storage.port import ObjectStore

TELLING_PARTS = ("input/", "corrected/")
"""Folders of a run whose texts tell that it has to be changed. So they are changed last."""
TEXT_PARTS = ("scores/", "unranked/")
"""Folders of a score run with the texts of its rows, besides those that tell."""


@dataclass(frozen=True, slots=True)
class Doomed:
    """What is to go. ``parts``: keys of parts of the pool that still have a text of a deleted record. ``names``: the
    names under which the caches keep what they know of these parts. ``digests``: of the texts that no other record of
    the pool has; a text that another record has stays everywhere."""

    record_ids: frozenset[str]
    parts: tuple[str, ...]
    names: frozenset[str]
    digests: frozenset[str]


@dataclass
class Purge:
    """One purge of a task. ``forget``: lets a run that has read a purged text write again, or delete, what it shows of
    its texts. ``step``: is told of each stage, how far it is and how far it goes."""

    store: ObjectStore
    keys: TaskKeys
    deleted: frozenset[str]
    forget: Callable[[str], None]
    step: Callable[[str, int, int], None] = lambda _stage, _done, _total: None
    done: Counter[str] = field(default_factory=Counter)
    """Objects that were changed or deleted, by kind."""

    def run(self) -> Counter[str]:
        """Purge. Return the number of objects changed, by kind, and of ``records`` whose text is gone now."""
        doomed = self._doomed()
        if doomed.record_ids:
            self._caches(doomed)
            self._views(doomed)
            self._score_runs(doomed)
            self._answers(doomed)
            self._pool(doomed)
        return self.done

    def _doomed(self) -> Doomed:
        ids, parts, names = set[str](), list[str](), set[str]()
        going, staying = set[str](), set[str]()
        listed = list(self.store.list(self.keys.pool))
        for number, info in enumerate(listed, 1):
            body = self.store.get(info.key).body
            table = POOL.decode(body, info.key)
            found = table["record_id"].filter(rows_of(table, self.deleted)).to_pylist()
            here = digests_of(table, self.deleted)
            going |= here
            others = table["text_digest"].filter(pc.invert(rows_of(table, self.deleted)))
            staying |= set(others.to_pylist())
            if found:
                ids |= set(found)
                parts.append(info.key)
                names |= {digest_of(body), sha256(body).hexdigest()}
            self.step("looking for deleted records", number, len(listed))
        return Doomed(frozenset(ids), tuple(parts), frozenset(names), frozenset(going - staying))

    def _caches(self, doomed: Doomed) -> None:
        """Embeddings and soft labels of these records. Those of others in the same files cost too much to lose."""
        for key in self._named(self.keys.embedded, doomed.names, ","):
            self._change("caches", key, without_numbers("embedding", 0.0, doomed.record_ids))
        for key in self._named(self.keys.soft_labels(), doomed.names, "/"):
            self._change("caches", key, without_numbers("probabilities", float("nan"), doomed.record_ids))

    def _named(self, folder: str, names: Collection[str], mark: str) -> Iterator[str]:
        for info in self.store.list(folder):
            if info.key.removesuffix(".parquet").rpartition(mark)[2] in names:
                yield info.key

    def _views(self, doomed: Doomed) -> None:
        keys = [info.key for info in self.store.list(self.keys.written_views())]
        for number, key in enumerate(keys, 1):
            self._change("views", key, without_views(doomed.digests))
            self.step("written views", number, len(keys))

    def _score_runs(self, doomed: Doomed) -> None:
        runs: dict[str, list[str]] = {}
        for info in self.store.list(self.keys.runs):
            run, _, name = info.key.removeprefix(self.keys.runs).partition("/")
            if name.startswith((*TELLING_PARTS, *TEXT_PARTS)):
                runs.setdefault(run, []).append(info.key)
        for number, (run, keys) in enumerate(runs.items(), 1):
            if any(self._has(key, doomed.digests) for key in keys):
                self._score_run(self.keys.run(run), keys, doomed.digests)
                self.done["score_runs"] += 1
            self.step("runs", number, len(runs))

    def _has(self, key: str, digests: Collection[str]) -> bool:
        """Whether a part has one of these texts. One that another purge has deleted has none."""
        try:
            return bool(rows_with(self._table(key), digests).any())
        except NotFound:
            return False

    def _score_run(self, run: RunKeys, keys: Iterable[str], digests: Collection[str]) -> None:
        inputs = [key for key in keys if key.removeprefix(run.root).startswith(TELLING_PARTS)]
        for key in inputs:
            rows = rows_with(self._table(key), digests)
            if rows.any():
                vectors = run.folder("embeddings") + key.rpartition("/")[2]
                self._change("", vectors, without_rows("embedding", rows))
        for key in keys:
            if key not in inputs:
                self._change("", key, without_texts(digests))
        self.forget(run.root.rstrip("/").rpartition("/")[2])
        for key in inputs:
            self._change("", key, without_texts(digests))

    def _answers(self, doomed: Doomed) -> None:
        """What chat models answered about these texts. It leaps from folder to folder: see ``Tasks.names``."""
        after: str | None = None
        while (info := next(iter(self.store.list(LLM_ANSWERS, start_after=after)), None)) is not None:
            folder = LLM_ANSWERS + info.key.removeprefix(LLM_ANSWERS).partition("/")[0] + "/"
            there = [key for digest in sorted(doomed.digests) if self.store.head(key := f"{folder}{digest}.json")]
            self.store.delete(there)
            self.done["answers"] += len(there)
            after = folder + "~"

    def _pool(self, doomed: Doomed) -> None:
        for number, key in enumerate(doomed.parts, 1):
            self._swap(key, lambda body: purged_part(body, doomed.record_ids))
            self.step("the pool", number, len(doomed.parts))
        self.done["parts"] += len(doomed.parts)
        self.done["records"] += len(doomed.record_ids)

    def _table(self, key: str) -> pa.Table:
        return pq.ParquetFile(pa.BufferReader(self.store.get(key).body)).read(columns=["text"], use_threads=False)

    def _change(self, kind: str, key: str, change: Change) -> None:
        if self._swap(key, lambda body: rewritten(body, change)) and kind:
            self.done[kind] += 1

    def _swap(self, key: str, made: Callable[[bytes], bytes | None]) -> bool:
        """Replace an object, if it exists, by what ``made`` makes of it. Returns whether that differs."""
        while True:
            try:
                stored = self.store.get(key)
            except NotFound:
                return False
            body = made(stored.body)
            if body is None:
                return False
            try:
                self.store.put_if_match(key, body, stored.etag)
            except Changed:  # by another purge, or a cache was written anew
                continue
            return True
