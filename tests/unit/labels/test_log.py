"""The label log: append-only, harmless to replay, one winner for each sequence number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.errors import IntegrityError, NotFound
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.log import LabelLog
from tornio.labels.table import from_table, to_table
from tornio.records import Purpose
from tornio.schemas.keys import TaskKeys
from tornio.schemas.tables import LABELS, LABELS_COMPACT
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit

KEYS = TaskKeys("care", "tickets").label_log
T0 = datetime(2025, 1, 1, tzinfo=UTC)


def answer(record_id: str, label: str = "a", at: int = 0, annotator: str = "ann") -> LabelEvent:
    return LabelEvent(
        EventKind.ANSWER,
        record_id,
        (label,),
        1,
        "argilla",
        annotator=annotator,
        response_id=f"{record_id}/{annotator}",
        response_updated_at=T0 + timedelta(seconds=at),
        dataset="tickets",
        batch_id="g1-b0001",
        purpose=Purpose.QUERY,
    )


def imported(record_id: str, label: str = "a") -> LabelEvent:
    return LabelEvent(EventKind.IMPORT, record_id, (label,), 1, "import:seed.csv", purpose=Purpose.QUERY)


def plain(events: Iterable[LabelEvent]) -> tuple[LabelEvent, ...]:
    """Without the time of writing."""
    return tuple(replace(event, recorded_at=None) for event in events)


def test_what_is_appended_is_read_in_its_place() -> None:
    log = LabelLog(MemoryStore(), KEYS)
    assert log.last_seq() == 0
    assert log.append([imported("r1"), answer("r2")]) == 1
    assert log.append([answer("r3")]) == 2
    view = log.read()
    assert view.seq == 2
    assert plain(view) == (imported("r1"), answer("r2"), answer("r3"))
    assert plain(log.read(1)) == (imported("r1"), answer("r2"))
    with pytest.raises(NotFound, match="ends at 2; 3 does not exist"):
        log.read(3)


def test_replays_are_harmless_and_answers_may_flip_back() -> None:
    log = LabelLog(MemoryStore(), KEYS)
    flips = [answer("r1", "a", 0), answer("r1", "b", 1), answer("r1", "a", 2)]
    assert [log.append([flip]) for flip in flips] == [1, 2, 3]
    assert log.append(flips) is None
    assert log.append([*flips, answer("r2"), answer("r2")]) == 4
    assert plain(log.read().parts[3]) == (answer("r2"),)


def test_events_without_a_key_are_never_the_same() -> None:
    log = LabelLog(MemoryStore(), KEYS)
    assert log.append([imported("r1"), imported("r1")]) == 1
    assert log.append([imported("r1")]) == 2
    assert len(log.read().events) == 3


def test_an_import_that_is_sent_again_is_known_by_its_origin() -> None:
    log = LabelLog(MemoryStore(), KEYS)
    row = replace(imported("r1"), origin="request-1#1")
    assert log.append([row]) == 1
    assert log.append([imported("r1", "b")]) == 2
    assert log.append([row]) is None


def test_what_is_appended_says_when_it_was_written() -> None:
    log = LabelLog(MemoryStore(), KEYS)
    before = datetime.now(UTC)
    log.append([answer("r1")])
    (event,) = log.read()
    assert event.recorded_at is not None
    assert before <= event.recorded_at <= datetime.now(UTC)


def test_a_snapshot_keeps_the_columns_of_a_later_release() -> None:
    store = MemoryStore()
    later = to_table([answer("r1")]).append_column("mood", pa.array(["fine"]))
    LabelLog(store, KEYS).append([answer("r0")])
    store.put(KEYS.part(2), LABELS.encode(later))
    LabelLog(store, KEYS).compact()
    snapshot = LABELS_COMPACT.decode(store.get(KEYS.compacted(2)).body)
    assert snapshot["mood"].to_pylist() == [None, "fine"]
    assert len(LabelLog(store, KEYS).read().events) == 2


def test_appending_nothing_writes_nothing() -> None:
    assert LabelLog(MemoryStore(), KEYS).append([]) is None


def test_who_loses_the_race_drops_what_the_winner_has() -> None:
    store = MemoryStore()
    winner, loser = LabelLog(store, KEYS), LabelLog(store, KEYS)

    def race(operation: str, key: str) -> None:
        if operation == "put_if_absent":
            store.before = None
            winner.append([answer("r1")])

    store.before = race
    assert loser.append([answer("r1"), answer("r2")]) == 2
    assert [plain(part) for part in loser.read().parts] == [(answer("r1"),), (answer("r2"),)]


def test_who_loses_the_race_reads_the_tool_again() -> None:
    store = MemoryStore()
    winner, loser = LabelLog(store, KEYS), LabelLog(store, KEYS)

    def race(operation: str, key: str) -> None:
        if operation == "put_if_absent":
            store.before = None
            winner.append([answer("r1")])

    store.before = race
    assert loser.append([answer("r2", "old")], refresh=lambda: [answer("r2", "new", 5)]) == 2
    assert plain(loser.read()) == (answer("r1"), answer("r2", "new", 5))


def test_events_worked_out_on_an_older_log_are_worked_out_again() -> None:
    store = MemoryStore()
    slow, fast = LabelLog(store, KEYS), LabelLog(store, KEYS)
    seen = slow.read().seq
    fast.append([answer("r1")])
    assert slow.append([answer("r2", "old")], after=seen, refresh=list) is None
    seen = slow.read().seq
    assert slow.append([answer("r2")], after=seen, refresh=list) == 2


@pytest.mark.parametrize("snapshot", [0, 1, 2, 3])
def test_a_new_reader_starts_from_the_snapshot(snapshot: int) -> None:
    store = MemoryStore()
    log = LabelLog(store, KEYS)
    for part in ([imported("r1"), answer("r1")], [answer("r2")], [answer("r3"), answer("r4")]):
        log.append(part)
    if snapshot:
        assert log.compact(snapshot) == snapshot
        assert log.compact(snapshot) == snapshot
    fetched: list[str] = []
    store.before = lambda operation, key: fetched.append(key) if operation == "get" else None
    new = LabelLog(store, KEYS)
    assert new.read() == log.read()
    assert plain(new.read(1)) == (imported("r1"), answer("r1"))
    assert len(fetched) == 3 - snapshot + bool(snapshot)
    assert new.append([answer("r4")]) is None
    assert new.append([answer("r5")]) == 4


def test_compacting_an_empty_log_writes_nothing() -> None:
    store = MemoryStore()
    assert LabelLog(store, KEYS).compact() == 0
    assert list(store.list("")) == []


def test_a_part_is_fetched_once() -> None:
    store = MemoryStore()
    log = LabelLog(store, KEYS)
    log.append([answer("r1")])
    reader = LabelLog(store, KEYS)
    reader.read()
    fetched: list[str] = []
    store.before = lambda operation, key: fetched.append(key) if operation == "get" else None
    reader.read()
    log.append([answer("r2")])
    assert len(reader.read().events) == 2
    assert fetched == [KEYS.part(2)]


def test_a_hole_is_told() -> None:
    store = MemoryStore()
    log = LabelLog(store, KEYS)
    log.append([answer("r1")])
    log.append([answer("r2")])
    store.delete([KEYS.part(1)])
    with pytest.raises(IntegrityError, match="lacks part 1"):
        LabelLog(store, KEYS).read()


EVENTS = st.builds(
    LabelEvent,
    event=st.sampled_from(EventKind),
    record_id=st.text(min_size=1, max_size=5),
    labels=st.lists(st.text(max_size=5), max_size=3).map(tuple),
    label_set_rev=st.integers(1, 9),
    source=st.text(max_size=5),
    annotator=st.none() | st.text(max_size=5),
    response_id=st.none() | st.text(min_size=1, max_size=5),
    response_updated_at=st.none() | st.datetimes(min_value=datetime(1970, 1, 2), timezones=st.just(UTC)),
    dataset=st.none() | st.text(max_size=5),
    batch_id=st.none() | st.text(max_size=5),
    purpose=st.none() | st.sampled_from(Purpose),
    score=st.none() | st.floats(0, 1, width=32),
    model_version=st.none() | st.text(max_size=5),
    origin=st.none() | st.text(max_size=5),
    recorded_at=st.none() | st.datetimes(min_value=datetime(1970, 1, 2), timezones=st.just(UTC)),
)


@given(st.lists(EVENTS, max_size=5))
def test_events_survive_the_table(events: list[LabelEvent]) -> None:
    assert list(from_table(LABELS.decode(LABELS.encode(to_table(events))))) == events


@given(st.lists(st.tuples(st.sampled_from(["x", "y"]), st.lists(st.integers(0, 6), max_size=3)), max_size=12))
def test_writers_that_take_turns_lose_and_double_nothing(turns: list[tuple[str, list[int]]]) -> None:
    store = MemoryStore()
    logs = {"x": LabelLog(store, KEYS), "y": LabelLog(store, KEYS)}
    for who, ids in turns:
        logs[who].append([replace(answer(f"r{number}"), batch_id=who) for number in ids])
    logged = [event.record_id for event in LabelLog(store, KEYS).read().events]
    assert sorted(logged) == sorted({f"r{number}" for _, ids in turns for number in ids})
