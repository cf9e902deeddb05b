"""The append-only label log of a task: one Parquet file per append, and compacted snapshots beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import groupby
from threading import RLock
from uuid import uuid4

import pyarrow as pa

from tornio.errors import AlreadyExists, IntegrityError, NotFound
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.resolve import deleted_records
from tornio.labels.table import from_table, to_table
from tornio.schemas.keys import LabelLogKeys, seq_of
from tornio.schemas.tables import LABELS, LABELS_COMPACT
from tornio.storage.port import ObjectStore

Events = tuple[LabelEvent, ...]
Key = tuple[str, datetime | None, EventKind]


@dataclass(frozen=True)
class LogView:
    """The log up to and including ``seq``; 0 is the empty log. Iterates over its events.

    ``parts[n]`` are the events of sequence number n + 1. ``deletions``: the tombstones after ``seq``. They count in
    every view, because what was deleted since must not be read again, not even by a run that was planned before.
    """

    seq: int
    parts: tuple[Events, ...]
    deletions: Events = ()

    def __iter__(self) -> Iterator[LabelEvent]:
        return iter(self.events)

    @cached_property
    def events(self) -> Events:
        """The events in the order of the log, then the later tombstones. Of a deleted record only the tombstone."""
        gone = self.deleted
        alive = (one for one in self.as_it_was if one.record_id not in gone or one.event is EventKind.TOMBSTONE)
        return (*alive, *self.deletions) if gone else self.as_it_was

    @property
    def as_it_was(self) -> Events:
        """The events that the log had at ``seq``. Only to find out what a version was trained on."""
        return tuple(event for part in self.parts for event in part)

    @cached_property
    def deleted(self) -> frozenset[str]:
        """The records that were deleted, until now."""
        return deleted_records((*self.as_it_was, *self.deletions))


class LabelLog:
    """Reads and appends label events. Parts are immutable, so a process downloads each part once. Thread-safe.

    Every method raises Unavailable if the store is unreachable, IntegrityError if the stored log is damaged.
    """

    def __init__(self, store: ObjectStore, keys: LabelLogKeys) -> None:
        self._store = store
        self._keys = keys
        self._parts: list[Events] = []
        self._keys_seen: set[Key] = set()
        self._deletions: dict[str, tuple[int, LabelEvent]] = {}
        """The first tombstone of each deleted record, and its sequence number."""
        self._deleted = frozenset[str]()
        self._view: LogView | None = None
        self._began = False
        self._lock = RLock()

    def last_seq(self) -> int:
        """Return the last sequence number; 0 for an empty log."""
        with self._lock:
            self._catch_up()
            return len(self._parts)

    def deleted(self) -> frozenset[str]:
        """Return the records that are deleted, as of the last reading. It reads nothing itself."""
        with self._lock:
            if len(self._deleted) != len(self._deletions):
                self._deleted = frozenset(self._deletions)
            return self._deleted

    def read(self, upto: int | None = None) -> LogView:
        """Return the log up to and including ``upto`` (default: all), with the later tombstones: see ``LogView``.

        Raises NotFound if the log is shorter.
        """
        with self._lock:
            self._catch_up()
            seq = len(self._parts) if upto is None else upto
            if seq > len(self._parts):
                raise NotFound(f"The label log of {self._keys.root} ends at {len(self._parts)}; {seq} does not exist.")
            later = tuple(event for at, event in self._deletions.values() if at > seq)
            if self._view is None or self._view.seq != seq or self._view.deletions != later:
                self._view = LogView(seq, tuple(self._parts[:seq]), later)
            return self._view

    def append(
        self,
        events: Sequence[LabelEvent],
        *,
        after: int | None = None,
        refresh: Callable[[], Sequence[LabelEvent]] | None = None,
    ) -> int | None:
        """Write the events that the log lacks as one part. Returns its number, or None if the log lacks none.

        An event with a key is skipped if the log has that key, so replays do no harm; one without a key is always new.
        Nothing is written about a record that is deleted, whoever says it.
        ``after``: the last sequence number when the events were computed. If another writer has appended since, or
        wins the race, ``refresh`` is called to compute the events again (from a new reading of the annotation tool,
        since the first may be out of date). Without ``refresh`` the same events are written, except those that the
        log has by now.
        """
        now = datetime.now(UTC)
        with self._lock:
            while True:
                self._catch_up()
                last = len(self._parts)
                if refresh is not None and after is not None and last != after:
                    events, after = refresh(), last
                new = tuple(replace(event, recorded_at=now) for event in self._lacking(events))
                if not new:
                    return None
                # The token distinguishes this body from an equal one of another writer: see ObjectStore.
                body = LABELS.encode(to_table(new), {"writer": uuid4().hex})
                try:
                    self._store.put_if_absent(self._keys.part(last + 1), body)
                except AlreadyExists:
                    after = last
                    continue
                # ``refresh`` may have read further; in that case another writer would have taken this number.
                self._take(last + 1, new)
                return last + 1

    def compact(self, upto: int | None = None) -> int:
        """Write a snapshot of all parts up to ``upto`` (default: the last), so that a new reader downloads one file.

        Returns the number, or 0 if the log is empty. The parts are kept.
        """
        seq = self.read(upto).seq
        if seq and self._store.head(self._keys.compacted(seq)) is None:
            table = pa.concat_tables(self._tables(seq), promote_options="default")
            self._store.put(self._keys.compacted(seq), LABELS_COMPACT.encode(table))
        return seq

    def _tables(self, upto: int) -> Iterator[pa.Table]:
        """Yield the parts as they are stored, with columns of a later release, each with its number."""
        for seq in range(1, upto + 1):
            key = self._keys.part(seq)
            table = LABELS.decode(self._store.get(key).body, key)
            yield table.add_column(0, "seq", pa.array([seq] * len(table), pa.int64()))

    def _lacking(self, events: Sequence[LabelEvent]) -> Events:
        unique = {event.key or index: event for index, event in enumerate(events)}
        new = (event for event in unique.values() if event.key is None or event.key not in self._keys_seen)
        return tuple(event for event in new if event.record_id not in self._deletions)

    def _catch_up(self) -> None:
        if not self._began:  # only at first, because a log that was empty then is read part by part as it grows
            self._load_snapshot()
            self._began = True
        last = self._keys.part(len(self._parts)) if self._parts else None
        for info in self._store.list(self._keys.parts, start_after=last):
            table = LABELS.decode(self._store.get(info.key).body, info.key)
            self._take(seq_of(info.key), tuple(from_table(table)))

    def _load_snapshot(self) -> None:
        keys = [info.key for info in self._store.list(self._keys.snapshots)]
        if not keys:
            return
        table = LABELS_COMPACT.decode(self._store.get(keys[-1]).body, keys[-1])
        rows = zip(table["seq"].to_pylist(), from_table(table), strict=True)
        for seq, part in groupby(rows, key=lambda row: row[0]):
            self._take(seq, tuple(event for _, event in part))

    def _take(self, seq: int, part: Events) -> None:
        if seq != len(self._parts) + 1:
            raise IntegrityError(
                f"The label log of {self._keys.root} lacks part {len(self._parts) + 1}. Restore it from a backup."
            )
        self._parts.append(part)
        for event in part:
            if event.event is EventKind.TOMBSTONE:
                self._deletions.setdefault(event.record_id, (seq, event))
        self._keys_seen.update(event.key for event in part if event.key is not None)
