"""The append-only pool of a task: one Parquet file per append."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import RLock
from uuid import uuid4

import pyarrow as pa

from tornio.errors import AlreadyExists, IntegrityError, InvalidInput, NotFound
from tornio.pool.blank import blanked, digest_of, digests_of
from tornio.pool.checks import record_problem
from tornio.pool.view import PoolPart, PoolView
from tornio.records import Record, text_digest
from tornio.schemas.keys import TaskKeys, seq_of
from tornio.schemas.tables import POOL
from tornio.storage.port import ObjectStore

PART_ROWS = 10_000
PART_CHARACTERS = 32 << 20
"""Limits of a part, whichever is reached first. A part is read as a whole, and its embeddings are cached together."""
_DELETED = "it was deleted from this task. If the text shall come back, give it another id"
_SHOWN = 10
"""Number of records that an error message lists."""


@dataclass(frozen=True, slots=True)
class Added:
    """The outcome of ``Pool.append``.

    ``added``: records that were added. ``known``: records that the pool had already, with the same id and text.
    ``same_text``: records whose text the pool has under another id: among the added ones, or left out. ``seq``: the
    last part of the pool now. ``deleted``: records that were left out, because they were deleted from the task.
    """

    added: int
    known: int
    same_text: int
    seq: int
    deleted: int = 0


class Pool:
    """Reads and appends records. Parts do not change, so a process downloads each part once. Thread-safe.

    A deleted record keeps its row, without text, digest and metadata. Only a purge changes a stored part: it makes it
    what this class shows anyway.

    Every method raises Unavailable if the store is unreachable, IntegrityError if the stored pool is damaged.
    """

    def __init__(
        self, store: ObjectStore, keys: TaskKeys, deleted: Callable[[], Collection[str]] = frozenset[str]
    ) -> None:
        """``deleted``: returns the records that are deleted, a set that only grows."""
        self._store = store
        self._keys = keys
        self._deleted = deleted
        self._checked: list[int] = []
        """For each part: how many records were deleted when it was last searched for them."""
        self._gone_digests: set[str] = set()
        self._parts: list[PoolPart] = []
        self._rows: dict[str, int] = {}
        self._digests: set[str] = set()
        self._view: PoolView | None = None
        self._lock = RLock()

    def last_seq(self) -> int:
        """Return the number of the last part; 0 for an empty pool."""
        with self._lock:
            self._catch_up()
            return len(self._parts)

    def read(self, upto: int | None = None) -> PoolView:
        """Return the pool up to and including part ``upto`` (default: all). Raises NotFound if that does not exist."""
        with self._lock:
            if upto is None or upto > len(self._parts):
                self._catch_up()
            seq = len(self._parts) if upto is None else upto
            if seq > len(self._parts):
                raise NotFound(f"The pool of {self._keys.root} ends at part {len(self._parts)}; {seq} does not exist.")
            self._forget()
            if self._view is None or self._view.seq != seq:
                self._view = PoolView(seq, tuple(self._parts[:seq]), self._rows)
            return self._view

    def deleted_texts(self) -> frozenset[str]:
        """Return the digests of the deleted texts that no other record has, as far as this process has read them.

        After a purge nobody knows them.
        """
        with self._lock:
            self.read()
            return frozenset(self._gone_digests - self._digests)

    def append(self, records: Sequence[Record], *, duplicates: bool = True) -> Added:
        """Add the records that the pool lacks, in their order. Existing records are unchanged, so a repeat is harmless.

        ``duplicates``: also add records whose text the pool has under another id. Otherwise they are left out.

        Raises InvalidInput for records that no pool accepts (see ``record_problem``), and for an id that belongs to
        another text in the pool or in ``records``. Nothing is written then, except in one case: if another writer
        takes such an id at the same moment, full parts before the error may already be stored.
        """
        _refuse(records, [record_problem(record) for record in records])
        with self._lock:
            self._catch_up()
            self._forget()
            lacking = self._lacking(records)
            known, same_text = len(records) - len(lacking), self._same_text(lacking)
            if not duplicates:
                lacking = self._without_same_text(lacking)
            added = len(lacking)
            while lacking:
                rows = _part_size(lacking)
                if self._put(lacking[:rows]):
                    lacking = lacking[rows:]
                else:
                    self._catch_up()
                    still = self._lacking(lacking)
                    known += len(lacking) - len(still)
                    fresh = still if duplicates else self._without_same_text(still)
                    same_text += len(still) - len(fresh)
                    added -= len(lacking) - len(fresh)
                    lacking = fresh
            return Added(added, known, same_text, len(self._parts))

    def _lacking(self, records: Sequence[Record]) -> list[Record]:
        view, new, problems = self.read(len(self._parts)), dict[str, Record](), list[str | None]()
        for record in records:
            row = view.row(record.record_id)
            text = view.texts[row] if row is not None else new.get(record.record_id, record).text
            problem = None if text == record.text else "its id already belongs to another text: give it another id"
            problems.append(_DELETED if record.record_id in self._deleted() else problem)
            if row is None:
                new.setdefault(record.record_id, record)
        _refuse(records, problems)
        return list(new.values())

    def _same_text(self, records: Sequence[Record]) -> int:
        fresh = {text_digest(record.text) for record in records} - self._digests
        return len(records) - len(fresh)

    def _without_same_text(self, records: Sequence[Record]) -> list[Record]:
        first: dict[str, Record] = {}
        for record in records:
            first.setdefault(text_digest(record.text), record)
        return [record for digest, record in first.items() if digest not in self._digests]

    def _put(self, records: Sequence[Record]) -> bool:
        """Write the next part. Returns False if another writer was first."""
        seq = len(self._parts) + 1
        rows = {
            "record_id": [record.record_id for record in records],
            "text": [record.text for record in records],
            "text_digest": [text_digest(record.text) for record in records],
            "metadata": [json.dumps(dict(record.metadata), ensure_ascii=False) for record in records],
            "added_at": [datetime.now(UTC)] * len(records),
        }
        # The token distinguishes this body from an equal one of another writer: see ObjectStore.
        body = POOL.encode(pa.Table.from_pydict(rows, schema=POOL.columns), {"writer": uuid4().hex})
        try:
            self._store.put_if_absent(self._keys.pool_part(seq), body)
        except AlreadyExists:
            return False
        self._take(seq, body)
        return True

    def _catch_up(self) -> None:
        last = self._keys.pool_part(len(self._parts)) if self._parts else None
        for info in self._store.list(self._keys.pool, start_after=last):
            self._take(seq_of(info.key), self._store.get(info.key).body)

    def _take(self, seq: int, body: bytes) -> None:
        if seq != len(self._parts) + 1:
            raise IntegrityError(
                f"The pool of {self._keys.root} lacks part {len(self._parts) + 1}. Restore it from a backup."
            )
        table = POOL.decode(body, self._keys.pool_part(seq)).select(POOL.columns.names)
        part = PoolPart(digest_of(body), table)
        self._rows.update((record_id, row) for row, record_id in enumerate(part.record_ids, len(self._rows)))
        self._digests.update(table["text_digest"].to_pylist())
        self._parts.append(part)
        self._checked.append(0)

    def _forget(self) -> None:
        """Drop the texts of deleted records from memory."""
        gone = self._deleted()
        changed = False
        for place, part in enumerate(self._parts):
            if self._checked[place] == len(gone):
                continue
            self._checked[place] = len(gone)
            table = blanked(part.table, gone)
            if table is not part.table:
                self._gone_digests |= digests_of(part.table, gone)
                self._parts[place], changed = replace(part, table=table), True
        if changed:
            self._digests = {digest for part in self._parts for digest in part.table["text_digest"].to_pylist()}
            self._view = None


def _part_size(records: Sequence[Record]) -> int:
    """Return how many of the records fit into one part; at least one."""
    characters = 0
    for rows, record in enumerate(records[:PART_ROWS]):
        characters += len(record.text)
        if rows and characters > PART_CHARACTERS:
            return rows
    return min(len(records), PART_ROWS)


def _refuse(records: Sequence[Record], problems: Sequence[str | None]) -> None:
    """Raise InvalidInput if any record has a problem. The message lists the first few."""
    refused = [
        (place, record, problem)
        for place, (record, problem) in enumerate(zip(records, problems, strict=True), 1)
        if problem
    ]
    if refused:
        raise InvalidInput("\n".join(_lines(refused)))


def _lines(refused: Sequence[tuple[int, Record, str]]) -> Iterator[str]:
    yield f"Nothing was added, because {len(refused)} of the records cannot be added:"
    for place, record, problem in refused[:_SHOWN]:
        yield f"record {place} ({record.record_id[:80]!r}): {problem}"
    if len(refused) > _SHOWN:
        yield f"and {len(refused) - _SHOWN} more"
