"""There and back: rows to annotators, their answers into the log, the corrected set. No servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.unit.review.scored import LABELS, WHEN, Row, make_task, mood, scored_run
from tornio.annotation.fake import FakeAnnotationTool
from tornio.errors import Conflict, InvalidInput, NotFound, Unavailable
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.resolve import resolve
from tornio.records import Purpose, Record, Suggestion, default_record_id, text_digest
from tornio.review.corrected import corrected, schema
from tornio.review.send import Wanted, send_review
from tornio.review.sync import ReviewSync, find_review, run_precision, run_verdicts
from tornio.schemas.review import ReviewSendOutput
from tornio.schemas.task import Batch, BatchItem
from tornio.scoring.scored_run import ScoredRun
from tornio.storage import documents
from tornio.storage.memory import MemoryStore
from tornio.tasks import training_set
from tornio.tasks.holdout import reserve_rule

pytestmark = pytest.mark.unit


class Desk:
    """A run and the tool that it is reviewed in."""

    def __init__(self, run: ScoredRun) -> None:
        self.run = run
        self.tool = FakeAnnotationTool()

    def send(self, top: int | None = 3, **more: Any) -> ReviewSendOutput:
        return send_review(self.run, self.tool, Wanted(top=top, **more.pop("wanted", {})), **more)

    @property
    def review(self) -> tuple[str, str]:
        found = find_review(self.run)
        return found.workspace, found.dataset

    @property
    def shown(self) -> list[str]:
        return list(self.tool.records(*self.review))

    def answer(self, record_id: str, *labels: str, who: str = "ann") -> None:
        self.tool.answer(*self.review, record_id, who, labels)

    def rows(self) -> list[dict[str, Any]]:
        return [row for table in corrected(self.run) for row in table.to_pylist()]


def desk(rows: Sequence[Row], **more: Any) -> Desk:
    return Desk(scored_run(MemoryStore(), rows, **more))


def test_the_most_suspicious_rows_are_shown_with_all_that_helps() -> None:
    at = desk([*mood(5), Row("fine", ("good",), record_id="fine", loss=9.0)])
    sent = at.send(2)
    assert (sent.rows, sent.new, sent.left_out, sent.workspace) == (2, 2, 0, "default")
    assert sent.dataset == f"scores-review-{at.run.run[-8:]}"
    assert sent.page.endswith("sort=loss.desc")
    assert at.shown == ["fine", "r4"]
    wrong, right = at.tool.records(*at.review)["r4"], at.tool.records(*at.review)["fine"]
    assert wrong.text == "text number 4"
    assert wrong.suggestion == Suggestion(("good",), (float(np.float32(0.95)),), "v0001-ab")
    assert wrong.fields == {"given_label": "bad"}
    assert wrong.metadata == {"given_label": "bad", "disagrees": "yes", "loss": pytest.approx(2.9957, abs=1e-3)}
    assert right.metadata["disagrees"] == "no"
    spec = at.tool.spec(*at.review)
    assert [label.name for label in spec.labels] == list(LABELS)
    assert not spec.multi_label


def test_another_ranking_than_the_loss_can_be_sorted_by() -> None:
    rows = [Row("a", ("bad",), loss=1.0, suspicion=5.0), Row("b", ("bad",), loss=2.0, suspicion=4.0)]
    at = desk(rows, ranking="suspicion")
    assert at.send(1).page.endswith("sort=suspicion.desc")
    assert [dict(record.metadata) for record in at.tool.records(*at.review).values()] == [
        {"given_label": "bad", "disagrees": "yes", "loss": 1.0, "suspicion": 5.0}
    ]


def test_a_quantile_of_the_loss() -> None:
    at = desk([Row(f"t{n}", ("bad",), loss=float(n), record_id=f"r{n}") for n in range(101)])
    at.send(None, wanted={"loss_quantile": 0.95})
    assert at.shown == [f"r{n}" for n in range(100, 95, -1)]
    with pytest.raises(InvalidInput, match="below 1"):
        at.send(None, wanted={"loss_quantile": 1.0})
    same = desk([Row(f"t{n}", ("bad",), loss=1.0) for n in range(3)])
    with pytest.raises(InvalidInput, match="No row"):
        same.send(None, wanted={"loss_quantile": 0.5})


def test_sending_again_adds_and_keeps_answers() -> None:
    at = desk(mood(6))
    at.send(2)
    at.answer("r5", "good")
    again = at.send(4)
    assert (again.rows, again.new) == (4, 2)
    assert at.send(4).new == at.send(1).new == 0
    assert at.shown == ["r5", "r4", "r3", "r2"]
    assert ReviewSync(at.run, at.tool).poll().reviewed == 1
    with pytest.raises(Conflict, match="scores-review"):
        at.send(2, name="another")


@pytest.mark.parametrize("broken", ["ensure_dataset", "log"])
def test_a_sending_that_breaks_off_is_sent_again(broken: str) -> None:
    at = desk(mood(4))

    def away(operation: str) -> None:
        if operation == broken:
            raise Unavailable("gone")

    at.tool.before = away
    with pytest.raises(Unavailable):
        at.send(2, name="mine")
    at.tool.before = None
    assert at.send(2).dataset == "mine"
    assert at.shown == ["r3", "r2"]


def test_an_id_that_stands_for_two_texts_shows_the_more_suspicious_one() -> None:
    at = desk([Row("first", ("bad",), record_id="r", loss=1.0), Row("second", ("bad",), record_id="r", loss=2.0)])
    at.send(5)
    assert at.tool.records(*at.review)["r"].text == "second"
    at.answer("r", "good")
    ReviewSync(at.run, at.tool).poll()
    assert [(row["text"], row["corrected_label"]) for row in at.rows()] == [("first", "bad"), ("second", "good")]


def test_without_a_task_corrections_go_to_a_log_of_the_run() -> None:
    at = desk(mood(4))
    sync = ReviewSync(at.run, at.tool)
    with pytest.raises(NotFound, match="tornio review send"):
        sync.poll()
    assert run_verdicts(at.run) == {}
    at.send(3)
    assert sync.poll().reviewed == 0
    at.answer("r3", "good")
    at.answer("r2", "bad")
    at.tool.discard(*at.review, "r1", "ann")
    assert (now := sync.poll()) == run_precision(at.run)
    assert (now.shown, now.reviewed, now.changed, now.discarded, now.share) == (3, 2, 1, 1, 0.5)
    kinds = [(event.event, event.record_id, event.labels) for event in at.run.log.read()]
    assert kinds == [
        (EventKind.CORRECTION, "r3", ("good",)),
        (EventKind.CORRECTION, "r2", ("bad",)),
        (EventKind.DISCARD, "r1", ()),
    ]
    assert at.run.store.head(at.run.keys.label_log.part(1)) is not None
    for _ in range(2):
        assert ReviewSync(at.run, at.tool).poll() == now
    assert at.run.log.last_seq() == 1, "replays write nothing"
    at.tool.withdraw(*at.review, "r3", "ann")
    assert sync.poll().reviewed == 1
    assert at.rows()[3]["review"] == "unreviewed"
    at.tool.delete_dataset(*at.review)
    with pytest.raises(NotFound, match="Answers that were pulled before are kept"):
        sync.poll()


def test_corrections_of_an_account_that_is_deleted_stay() -> None:
    at = desk(mood(4))
    at.send(3)
    at.answer("r3", "good")
    at.tool.answer(*at.review, "r2", "bob", ["bad"])
    sync = ReviewSync(at.run, at.tool)
    before = sync.poll()
    at.tool.delete_account("ann")
    at.tool.answer(*at.review, "r1", "bob", ["bad"])  # so that there is activity
    assert sync.poll().reviewed == before.reviewed + 1 == 3
    assert EventKind.WITHDRAW not in {event.event for event in at.run.log.read()}
    at.tool.delete_dataset(*at.review)
    at.send(3)
    assert sync.poll().reviewed == 3


def test_a_listing_that_breaks_off_withdraws_nothing() -> None:
    at = desk(mood(3))
    at.send(2)
    at.answer("r2", "good")
    sync = ReviewSync(at.run, at.tool)
    before = sync.poll()
    at.tool.withdraw(*at.review, "r2", "ann")

    def away(operation: str) -> None:
        if operation == "read":
            raise Unavailable("gone")

    at.tool.before = away
    with pytest.raises(Unavailable):
        sync.poll()
    assert run_precision(at.run) == before
    at.tool.before = None
    assert sync.poll().reviewed == 0


def test_the_corrected_set_has_all_rows_in_the_order_of_the_input() -> None:
    twice = [Row("Same text", ("bad",), record_id="a", loss=9.0), Row("same  TEXT", ("good",), record_id="b", loss=1.0)]
    at = desk([twice[1], *mood(4), twice[0]], part_rows=2, gaps=1)
    at.send(3)
    assert at.shown == ["a", "r3", "r2"]
    at.answer("a", "so-so")
    at.answer("r3", "good")
    at.answer("r3", "bad", who="bob")
    ReviewSync(at.run, at.tool).poll()
    tables = list(corrected(at.run))
    assert all(table.schema == schema(False) for table in tables)
    rows = at.rows()
    assert [row["row"] for row in rows] == [1, 3, 5, 7, 9, 11]
    assert [row["original_label"] for row in rows] == ["good", *["bad"] * 5]
    assert [row["corrected_label"] for row in rows] == ["so-so", *["bad"] * 4, "so-so"]
    outcomes = ["changed", "unreviewed", "unreviewed", "unreviewed", "disputed", "changed"]
    assert [row["review"] for row in rows] == outcomes
    assert [row["who"] for row in rows] == [["ann"], [], [], [], ["ann", "bob"], ["ann"]]
    assert rows[0]["when"] == rows[5]["when"] is not None
    assert rows[1]["when"] is None


def test_several_labels_or_none() -> None:
    rows = [
        Row("one", ("bad", "good"), (0.875, 0.75, 0.125), "r1", loss=2.0),
        Row("two", (), (0.1, 0.2, 0.1), "r2", loss=3.0),
    ]
    at = desk(rows, multi_label=True)
    at.send(2)
    assert at.tool.spec(*at.review).multi_label
    first, second = (at.tool.records(*at.review)[name] for name in ("r1", "r2"))
    assert first.suggestion == Suggestion(("bad", "good"), (0.875, 0.75), "v0001-ab")
    assert (first.metadata["given_label"], first.fields["given_label"]) == (("bad", "good"), "bad, good")
    assert second.suggestion == Suggestion((), (), "v0001-ab")
    assert (second.metadata["given_label"], second.metadata["disagrees"]) == ("(none)", "no")
    at.answer("r1")
    at.answer("r2", "so-so", "bad")
    ReviewSync(at.run, at.tool).poll()
    assert [(row["original_label"], row["corrected_label"]) for row in at.rows()] == [
        (["bad", "good"], []),
        ([], ["bad", "so-so"]),
    ]


# With a task.


def of_task(rows: Sequence[Row], store: MemoryStore, **more: Any) -> Desk:
    return Desk(scored_run(store, rows, workspace="shop", task="mood", **more))


def open_texts(store: MemoryStore, count: int) -> list[str]:
    """Texts that the task would not hold out."""
    return _texts(store, count, held=False)


def held_texts(store: MemoryStore, count: int) -> list[str]:
    """Texts that the task would hold out."""
    return _texts(store, count, held=True)


def _texts(store: MemoryStore, count: int, held: bool) -> list[str]:
    task = make_task(store)
    rule = reserve_rule(task.pool.read(), (), task.document.holdout_key, task.spec.loop.holdout_share)
    texts = (f"text {n}" for n in range(10_000))
    found = (text for text in texts if rule(text_digest(text)) is held)
    return [next(found) for _ in range(count)]


def wrong(texts: Sequence[str], ids: bool = True) -> list[Row]:
    return [Row(text, ("bad",), record_id=f"d{n}" if ids else None, loss=9.0 - n) for n, text in enumerate(texts)]


def test_the_next_training_counts_a_correction() -> None:
    store = MemoryStore()
    task = make_task(store)
    known, new, taken = open_texts(store, 3)
    task.import_labels([(Record("mine", known), ["bad"]), (Record("d2", "another text"), ["good"])], "train", "x.csv")
    at = of_task(wrong([known, new, taken]), store)
    at.send(3)
    for record_id in at.shown:
        at.answer(record_id, "so-so")
    assert ReviewSync(at.run, at.tool).poll().changed == 3
    trained = training_set(task, task.labels.last_seq(), task.pool.last_seq())
    said = dict(zip(trained.record_ids, zip(trained.texts, trained.labels, strict=True), strict=True))
    assert said == {
        "mine": (known, ("so-so",)),  # the pool has the text under another id
        "d1": (new, ("so-so",)),
        "d2": ("another text", ("good",)),  # the pool has the id for another text
        default_record_id(taken): (taken, ("so-so",)),
    }
    assert [row["corrected_label"] for row in at.rows()] == ["so-so"] * 3
    before = task.labels.last_seq(), task.pool.last_seq()
    assert ReviewSync(ScoredRun.open(store, at.run.run), at.tool).poll().changed == 3
    assert (task.labels.last_seq(), task.pool.last_seq()) == before


def test_only_what_is_answered_joins_the_pool() -> None:
    store = MemoryStore()
    task = make_task(store)
    at = of_task(wrong(open_texts(store, 3)), store)
    at.send(3)
    at.tool.draft(*at.review, "d0", "ann", ["good"])
    at.answer("d1", "good")
    ReviewSync(at.run, at.tool).poll()
    assert task.pool.read().record_ids == ["d1"]


def test_a_correction_stays_with_its_record_and_can_be_taken_back() -> None:
    """Even where the pool learns the text under the run's own id later on."""
    store = MemoryStore()
    task = make_task(store)
    (text,) = open_texts(store, 1)
    task.add_records([Record("mine", text)])
    at = of_task(wrong([text]), store)
    at.send(1)
    at.answer("d0", "good")
    sync = ReviewSync(at.run, at.tool)
    sync.poll()
    task.add_records([Record("d0", text)])
    at.answer("d0", "so-so")
    sync.poll()
    assert {event.record_id for event in task.labels.read()} == {"mine"}
    assert at.rows()[0]["corrected_label"] == "so-so"
    at.tool.withdraw(*at.review, "d0", "ann")
    assert sync.poll().reviewed == 0
    assert resolve(task.labels.read(), LABELS, False)["mine"].labels is None


def test_what_is_held_out_is_left_out() -> None:
    store = MemoryStore()
    task = make_task(store)
    held, pooled, imported = held_texts(store, 3)
    (asked, plain) = open_texts(store, 2)
    task.add_records([Record("p", pooled), Record("asked", asked)])
    task.import_labels([(Record("i", imported), ["bad"])], "train", "x.csv")
    item = BatchItem(record_id="asked", purpose=Purpose.HOLDOUT)
    batch = Batch(
        batch="g1-b0001", number=1, generation=1, dataset="mood", items=(item,), strategy="random", agent=None,
        run="query-1", created_at=WHEN,
    )  # fmt: skip
    documents.create(store, task.keys.batch(batch.batch), batch)
    at = of_task(wrong([held, pooled, imported, asked, plain]), store)
    sent = at.send(2)
    assert at.shown == ["d2", "d4"], "what was imported to train trains, and its text is no hold-out"
    assert sent.left_out == 3
    assert [record.purpose for record in at.tool.records(*at.review).values()] == [Purpose.QUERY] * 2
    assert at.tool.spec(*at.review).labels == task.spec.labels


def test_a_deleted_text_is_neither_shown_nor_exported() -> None:
    store = MemoryStore()
    task = make_task(store)
    gone, stays = open_texts(store, 2)
    task.add_records([Record("gone", gone)])
    task.labels.append([LabelEvent(EventKind.TOMBSTONE, "gone", (), 1, "api:ops")])
    at = of_task(wrong([gone, stays]), store)
    assert at.send(2).left_out == 1
    assert at.shown == ["d1"]
    assert [row["text"] for row in at.rows()] == [stays]


def test_nothing_to_show_is_said() -> None:
    store = MemoryStore()
    make_task(store)
    at = of_task(wrong(held_texts(store, 2)), store)
    with pytest.raises(InvalidInput, match="2 belong to the hold-out"):
        at.send(2)
