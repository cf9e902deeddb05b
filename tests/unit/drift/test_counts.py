"""Counts of live texts, and their documents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.drift import windows
from tornio.drift.counts import CONFIDENCE_BINS, LENGTH_BINS, Counts, confidence_of, count
from tornio.drift.windows import Window, latest, listed
from tornio.models.port import Reading
from tornio.schemas.keys import TaskKeys
from tornio.schemas.live import TextCounts
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit
LABELS = ("a", "b")
KEYS = TaskKeys("acme", "support")
HOUR = Window(datetime(2026, 11, 29, 15, tzinfo=UTC), 3600)

texts = st.lists(
    st.tuples(st.text(max_size=40), st.sampled_from([(), ("a",), ("b",), ("a", "b")]), st.floats(0, 1), st.booleans()),
    max_size=8,
)


def counted(rows: list[tuple[str, tuple[str, ...], float, bool]]) -> Counts:
    cut = np.array([row[3] for row in rows], dtype=bool)
    tokens = np.array([len(row[0]) for row in rows], dtype=np.int64)
    confidence = np.array([row[2] for row in rows], dtype=np.float64)
    return count(LABELS, [row[1] for row in rows], confidence, [row[0] for row in rows], cut, Reading(tokens, cut, cut))


def equal(one: Counts, other: Counts) -> bool:
    first, second = one.part.model_dump(), other.part.model_dump()
    return all(first[name] == pytest.approx(second[name]) for name in first)


@given(texts, texts, texts)
def test_counts_of_parts_add_up_to_those_of_the_whole(one: list, two: list, three: list) -> None:  # type: ignore[type-arg]
    whole = counted([*one, *two, *three])
    assert equal((counted(one) + counted(two)) + counted(three), whole)
    assert equal(counted(one) + (counted(two) + counted(three)), whole)
    assert equal(counted(three) + counted(two) + counted(one), whole)
    assert whole.confidence.sum() == whole.lengths.sum() == whole.texts


@given(texts)
def test_counts_survive_the_store(rows: list) -> None:  # type: ignore[type-arg]
    found = counted(rows)
    read = TextCounts.model_validate_json(found.part.model_dump_json())
    assert equal(Counts.of(read, LABELS), found)
    assert equal(Counts.of(read), found)


def test_what_is_counted() -> None:
    found = counted([("", (), 0.0, False), ("x" * 5, ("a", "b"), 1.0, True), ("x" * 10**6, ("b",), 0.5, False)])
    assert found.part.labels == {"a": 1, "b": 2}
    assert found.unlabelled == 1
    assert [found.confidence[i] for i in (0, CONFIDENCE_BINS // 2, CONFIDENCE_BINS - 1)] == [1, 1, 1]
    assert [found.lengths[i] for i in (0, 3, LENGTH_BINS - 1)] == [1, 1, 1]  # 5 characters: 4 to 7
    assert (found.truncated, found.unknown, found.tokens, found.read) == (1, 1, 10**6 + 5, 3)
    assert (found.confidence_sum, found.confidence_squares) == (1.5, 1.25)


def test_texts_whose_tokens_nobody_counted_are_no_texts_without_unknown_ones() -> None:
    found = count(LABELS, [("a",)], np.array([0.5]), ["x"], np.array([False]), None)
    assert (found.read, found.unknown, found.texts) == (0, 0, 1)


def test_a_later_release_may_have_more_bins() -> None:
    part = counted([("x", ("a",), 0.5, False)]).part
    more = part.evolve(confidence=(*part.confidence, 3, 4))
    assert Counts.of(more).confidence.tolist()[-1] == 7


def test_the_confidence_of_several_labels_is_that_all_are_decided_rightly() -> None:
    probabilities = np.array([[0.9, 0.2], [0.4, 0.1]], dtype=np.float32)
    assert confidence_of(probabilities, LABELS, False, {}) == pytest.approx([0.9, 0.4])
    assert confidence_of(probabilities, LABELS, True, {}) == pytest.approx([0.9 * 0.8, 0.6 * 0.9])
    assert confidence_of(probabilities, LABELS, True, {"a": 0.3}) == pytest.approx([0.9 * 0.8, 0.4 * 0.9])


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)), st.sampled_from([60, 3600, 86400]))
def test_a_window_contains_its_moment_and_has_a_name(moment: datetime, seconds: int) -> None:
    moment = moment.replace(tzinfo=UTC)
    window = Window.at(moment, seconds)
    assert window.start <= moment < window.end
    assert Window.named(window.name) == window == Window.at(window.start, seconds)


@pytest.mark.parametrize("damage", ["cut", "empty", "newer"])
def test_a_document_that_cannot_be_read_is_left_out(damage: str, caplog: pytest.LogCaptureFixture) -> None:
    store, one = MemoryStore(), counted([("x", ("a",), 0.5, False)])
    for replica in ("r1", "r2"):
        windows.write(store, KEYS, HOUR, replica, {"v1": one})
    key = KEYS.live_window(HOUR.name, "r1")
    body = store.get(key).body
    bodies = {"cut": body[:90], "empty": b"", "newer": body.replace(b'"schema": 1', b'"schema": 9')}
    store.put(key, bodies[damage])
    found = windows.read(store, listed(store, KEYS)[HOUR], "v1", LABELS)
    assert found is not None
    assert equal(found, one)
    assert key in caplog.text


def test_documents_of_replicas_add_up_and_expire() -> None:
    store, one, two = MemoryStore(), counted([("x", ("a",), 0.5, False)]), counted([("y", ("b",), 0.7, True)])
    later = Window(HOUR.end, 3600)
    windows.write(store, KEYS, HOUR, "r1", {"v1": one, "v2": two})
    windows.write(store, KEYS, HOUR, "r2", {"v1": two})
    windows.write(store, KEYS, later, "r2", {"v1": two})
    windows.write(store, KEYS, later, "r2", {"v1": one + two})  # the whole document, in place of the last
    found = listed(store, KEYS)
    assert list(found) == [HOUR, later]
    total = windows.read(store, found[HOUR], "v1", LABELS)
    assert total is not None
    assert equal(total, one + two)
    again = windows.read(store, found[later], "v1")
    assert again is not None
    assert equal(again, one + two)
    assert windows.read(store, found[HOUR], "v3") is None
    assert latest(found, HOUR.start) == ([], HOUR)
    assert latest(found, HOUR.end) == ([HOUR], later)
    assert latest(found, later.end + timedelta(days=1)) == ([later, HOUR], None)
    assert windows.expire(store, KEYS, later.end) == 2
    assert list(listed(store, KEYS)) == [later]
