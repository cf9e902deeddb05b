"""A record that is deleted while its batch is open: it goes from the annotation tool, and the loop goes on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.controller.turning import Turning, quick_fit
from tornio.annotation.port import OutgoingRecord
from tornio.labels.events import EventKind
from tornio.records import Purpose
from tornio.schemas.review import Review
from tornio.storage import documents
from tornio.tasks import delete_records, training_set

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick_fit():
        yield


def answer(turning: Turning, record_id: str) -> None:
    turning.annotation.answer("w", "t", record_id, "a1", [turning.truth[record_id]])


def test_an_open_batch_goes_on_without_a_deleted_record(tmp_path: Path) -> None:
    turning = Turning(tmp_path).begin()
    controller = turning.controller()
    while not controller.look().state.batches:
        pass
    first, second, *_ = [item.record_id for item in turning.task.batches()[0].items]
    answer(turning, first)
    controller.look()
    answer(turning, second)  # in flight: not read yet
    delete_records(turning.task, [first, second], "ops")
    look = controller.look()
    assert not {first, second} & set(turning.annotation.records("w", "t"))
    assert look.seen.batches["g1-b0001"].total == 4
    turning.turn(controller)
    task = turning.task
    assert len(task.iterations()) == 3
    said = [(event.record_id, event.event) for event in task.labels.read() if event.record_id in (first, second)]
    assert said == [(first, EventKind.TOMBSTONE), (second, EventKind.TOMBSTONE)]
    stored = [event.record_id for event in task.labels.read().as_it_was if event.event is EventKind.ANSWER]
    assert first in stored
    assert second not in stored, "it was in flight"
    assert not {first, second} & set(training_set(task, task.labels.last_seq(), 1).record_ids)


def test_a_batch_whose_records_are_all_deleted_closes(tmp_path: Path) -> None:
    turning = Turning(tmp_path).begin()
    controller = turning.controller()
    while not controller.look().state.batches:
        pass
    ids = [item.record_id for item in turning.task.batches()[0].items]
    delete_records(turning.task, ids, "ops")
    turning.turn(controller)
    assert len(turning.task.iterations()) == 3
    assert not set(ids) & set(turning.annotation.records("w", "t"))


def test_a_record_that_was_sent_while_it_was_deleted_goes_as_soon_as_it_is_seen(tmp_path: Path) -> None:
    turning = Turning(tmp_path).begin()
    controller = turning.controller()
    while not controller.look().state.batches:
        pass
    gone = turning.task.batches()[0].items[0].record_id
    delete_records(turning.task, [gone], "ops")
    controller.look()
    late = OutgoingRecord(gone, "the text", "g1-b0001", Purpose.QUERY)
    turning.annotation.log("w", "t", [late])  # by a controller that read the log before
    controller.look()
    assert gone not in turning.annotation.records("w", "t")


def test_it_goes_from_closed_batches_and_reviews_once_more_for_a_slow_search_index(tmp_path: Path) -> None:
    turning = Turning(tmp_path).begin()
    controller = turning.controller()
    turning.turn(controller)
    gone = turning.task.batches()[0].items[0].record_id
    spec = turning.annotation.spec("w", "t")
    turning.annotation.ensure_dataset(type(spec)("w", "t-review-1", spec.labels, False, "", 1))
    shown = OutgoingRecord(gone, "the text", "score-1", Purpose.QUERY)
    turning.annotation.log("w", "t-review-1", [shown])
    review = Review(run="score-1", workspace="w", dataset="t-review-1", created_at=turning.clock())
    documents.create(turning.store, turning.task.keys.run("score-1").root + "review.json", review)
    delete_records(turning.task, [gone], "ops")
    controller.look()
    assert gone not in turning.annotation.records("w", "t")
    assert gone not in turning.annotation.records("w", "t-review-1")
    turning.annotation.log("w", "t-review-1", [shown])  # as if the index had not known it
    turning.clock.now += timedelta(minutes=3)
    controller.look()
    assert gone not in turning.annotation.records("w", "t-review-1")
