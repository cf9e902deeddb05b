"""The append-only label log of a task: one Parquet file an append, compacted snapshots beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from threading import RLock
from uuid import uuid4

import pyarrow as pa

from tornio.errors import AlreadyExists, IntegrityError, NotFound
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.table import from_table, to_table
from tornio.schemas.tables import LABELS, LABELS_COMPACT
from tornio.storage.keys import TaskKeys, seq_of
from tornio.storage.port import ObjectStore

Events = tuple[LabelEvent, ...]
Key = tuple[str | None, object, EventKind]


@dataclass(frozen=True)
class LogView:
    """The log up to and with ``seq``; 0 is the empty log. ``parts[n]`` are the events of sequence number n + 1."""

    seq: int
    parts: tuple[Events, ...]

    @cached_property
    def events(self) -> Events:
        """All events in the order of the log."""
        return tuple(event for part in self.parts for event in part)

    @cached_property
    def places(self) -> tuple[tuple[int, int], ...]:
        """Of each event: its sequence number, and its index within that."""
        return tuple((seq, index) for seq, part in enumerate(self.parts, 1) for index in range(len(part)))


class LabelLog:
    """Reads and appends. Parts are immutable, so a process fetches each once. Thread-safe.

    Every method raises Unavailable where the store is away, IntegrityError where it holds what it should not.
    """

    def __init__(self, store: ObjectStore, keys: TaskKeys) -> None:
        self._store = store
        self._keys = keys
        self._parts: list[Events] = []
        self._known: set[Key] = set()
        self._lock = RLock()

    def last_seq(self) -> int:
        """The last sequence number; 0 for an empty log."""
        with self._lock:
            self._catch_up()
            return len(self._parts)

    def read(self, upto: int | None = None) -> LogView:
        """The log up to and with a sequence number, or as it stands. Raises NotFound for one not reached yet."""
        with self._lock:
            if upto is None or upto > len(self._parts):
                self._catch_up()
            seq = len(self._parts) if upto is None else upto
            if seq > len(self._parts):
                raise NotFound(f"the label log of {self._keys.root} ends at {len(self._parts)}, asked was {seq}")
            return LogView(seq, tuple(self._parts[:seq]))

    def append(
        self,
        events: Sequence[LabelEvent],
        *,
        after: int | None = None,
        refresh: Callable[[], Sequence[LabelEvent]] | None = None,
    ) -> int | None:
        """Write the events that the log lacks as one part. Returns its number, or None where it lacks none.

        An event with a response_id is there already when its key is, so replays do no harm; one without is always
        new. ``after``: where the log stood when the events were worked out. When another writer was there since,
        or wins the race, ``refresh`` is asked for the events again (read the annotation tool again: what it
        showed may be old by now); without it the same events go on, less those that the winner has.
        """
        with self._lock:
            while True:
                self._catch_up()
                last = len(self._parts)
                if refresh is not None and after is not None and last != after:
                    events, after = refresh(), last
                new = self._lacking(events)
                if not new:
                    return None
                # The token tells this body from an equal one of another writer, see ObjectStore.
                body = LABELS.encode(to_table(new), {"writer": uuid4().hex})
                try:
                    self._store.put_if_absent(self._keys.label_part(last + 1), body)
                except AlreadyExists:
                    after = last
                    continue
                # Refreshing may have read on; then somebody else would have had this number.
                self._take(last + 1, new)
                return last + 1

    def compact(self, upto: int | None = None) -> int:
        """Write a snapshot of all parts up to a number (default the last), so that a new reader fetches one file.

        Returns the number; 0 where there is nothing to write. The parts stay.
        """
        view = self.read(upto)
        if view.seq == 0:
            return 0
        table = to_table(view.events).add_column(0, "seq", pa.array([seq for seq, _ in view.places], pa.int64()))
        try:
            self._store.put_if_absent(self._keys.labels_compacted(view.seq), LABELS_COMPACT.encode(table))
        except AlreadyExists:
            return view.seq  # whoever was first wrote the same
        return view.seq

    def _lacking(self, events: Sequence[LabelEvent]) -> Events:
        once = {event.key if event.response_id else index: event for index, event in enumerate(events)}
        return tuple(event for event in once.values() if not event.response_id or event.key not in self._known)

    def _catch_up(self) -> None:
        if not self._parts:
            self._load_snapshot()
        last = self._keys.label_part(len(self._parts)) if self._parts else None
        for info in self._store.list(self._keys.labels, start_after=last):
            if info.key.startswith(self._keys.labels_compact):
                break  # sorts behind every part
            table = LABELS.decode(self._store.get(info.key).body, info.key)
            self._take(seq_of(info.key), tuple(from_table(table)))

    def _load_snapshot(self) -> None:
        keys = [info.key for info in self._store.list(self._keys.labels_compact)]
        if not keys:
            return
        table = LABELS_COMPACT.decode(self._store.get(keys[-1]).body, keys[-1])
        rows = zip(table["seq"].to_pylist(), from_table(table), strict=True)
        for seq, part in groupby(rows, key=lambda row: row[0]):
            self._take(seq, tuple(event for _, event in part))

    def _take(self, seq: int, part: Events) -> None:
        if seq != len(self._parts) + 1:
            raise IntegrityError(
                f"the label log of {self._keys.root} lacks part {len(self._parts) + 1}: restore it from a backup"
            )
        self._parts.append(part)
        self._known.update(event.key for event in part if event.response_id)
