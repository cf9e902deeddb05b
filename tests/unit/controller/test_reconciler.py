"""The controller survives being killed after any outside call: what comes out is what would have come out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from services.controller.guidelines import Guidelines
from services.controller.reconciler import Reconciler
from tests.unit.controller.turning import LABELS, WORDS, Turning, make_spec, quick_fit
from tornio.errors import NotFound, Unavailable
from tornio.labels.resolve import resolve
from tornio.loop.phase import Phase
from tornio.records import Record
from tornio.registry import CURRENT, Registry
from tornio.schemas import keys
from tornio.spec import AnnotationSpec
from tornio.status.drift import DriftReader
from tornio.tasks import Counter, Tasks
from tornio.tasks.data import Undecided

pytestmark = pytest.mark.unit
WRITES = ("put", "put_if_absent", "put_if_match", "delete", "upload", "log", "ensure_dataset")


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick_fit():
        yield


class Killed(BaseException):
    """The process is gone: nothing below catches it."""


class Trap:
    """Counts outside calls, and kills after one of them."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.calls = at, 0

    def store(self, operation: str, key: str) -> None:
        self.count(operation)

    def count(self, operation: str) -> None:
        if operation in WRITES:
            self.calls += 1
            if self.calls == self.at:
                raise Killed


def run_with_trap(folder: Path, trap: Trap) -> tuple[Turning, bool]:
    turning = Turning(folder).begin()
    turning.store.after, turning.annotation.after = trap.store, trap.count
    try:
        turning.turn()
    except Killed:
        killed = True
    else:
        killed = False
    turning.store.after = turning.annotation.after = None
    return turning, killed


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Turning, int]:
    trap = Trap()
    with quick_fit():
        turning, _ = run_with_trap(tmp_path_factory.mktemp("cache"), trap)
    return turning, trap.calls


def test_the_loop_turns_to_its_end(undisturbed: tuple[Turning, int]) -> None:
    turning, calls = undisturbed
    assert len(turning.task.iterations()) == 3
    current = Registry(turning.store, turning.task.keys).alias(CURRENT)
    assert current is not None
    assert (current.revision, current.version) == (3, turning.task.iterations()[-1].version)
    assert calls > 50


@pytest.mark.parametrize("quarter", range(4))
def test_killed_after_any_outside_call_the_next_controller_comes_to_the_same(
    undisturbed: tuple[Turning, int], tmp_path: Path, quarter: int
) -> None:
    expected, calls = undisturbed
    for at in range(1 + quarter, calls + 1, 4):  # each kill in a run of its own
        turning, killed = run_with_trap(tmp_path, Trap(at))
        assert killed
        turning.turn()
        assert turning.facts() == expected.facts(), f"killed after write {at}"


def test_two_controllers_at_once_have_one_effect(undisturbed: tuple[Turning, int], tmp_path: Path) -> None:
    expected, _ = undisturbed
    turning = Turning(tmp_path).begin()
    one, other = turning.controller(), turning.controller()
    for _ in range(400):
        looks = [one.look(), other.look()]
        still = not any(look.busy for look in looks) and not turning.answer()
        if still and all(look.standing.phase is Phase.STOPPED for look in looks):
            break
    assert turning.facts() == expected.facts()


def test_a_version_is_judged_with_what_its_live_texts_are_compared_with(tmp_path: Path) -> None:
    with quick_fit():
        turning = Turning(tmp_path, make_spec(stop={"max_iterations": 1})).begin()
        held = [(Record(f"h{n}", f"{words} held"), [label]) for n, (label, words) in enumerate(WORDS.items())]
        turning.task.import_labels(held, "holdout", "import:test")
        turning.turn()
    (iteration,) = turning.task.iterations()
    assert iteration.version is not None
    found = DriftReader(turning.store, turning.task.keys).reference(iteration.version)
    assert found is not None
    assert found.counts.texts == iteration.metrics["n"] == 3
    assert found.score == pytest.approx(iteration.metrics["accuracy"])
    assert found.confusion is not None
    assert found.confusion.tolist() == iteration.metrics["confusion"]
    assert found.counts.tokens == 12  # three words and one more


def test_an_annotation_tool_that_is_away_is_said_and_waited_for(tmp_path: Path) -> None:
    turning = Turning(tmp_path).begin()

    def away(operation: str) -> None:
        raise Unavailable("Argilla does not answer: is it up?")

    controller = turning.controller()
    turning.annotation.before = away
    for _ in range(10):
        look = controller.look()
    assert look.standing.phase is Phase.ATTENTION
    assert "is it up?" in look.standing.why
    turning.annotation.before = None
    assert turning.turn(controller).standing.phase is Phase.STOPPED


def test_a_store_that_fails_now_and_then_costs_looks_and_nothing_else(
    undisturbed: tuple[Turning, int], tmp_path: Path
) -> None:
    expected, _ = undisturbed
    turning = Turning(tmp_path).begin()
    count = 0

    def shaky(operation: str, key: str) -> None:
        nonlocal count
        count += 1
        if count % 97 == 0:
            raise Unavailable("the store does not answer")

    controller = turning.controller()
    turning.store.before = shaky
    ended = False
    for _ in range(2000):
        try:
            look = controller.look()
        except Unavailable:
            continue
        turning.store.before = None
        answered = turning.answer() if look.state.batches else 0
        turning.store.before = shaky
        ended = look.standing.phase is Phase.STOPPED and not look.busy and not answered
        if ended:
            break
    turning.store.before = None
    assert ended
    assert turning.facts() == expected.facts()


def test_an_answer_that_changes_after_its_batch_closed_counts_in_the_next_training(tmp_path: Path) -> None:
    turning = Turning(tmp_path, spec=make_spec(stop={"criterion": "none"})).begin()
    controller = turning.controller()
    while not turning.task.iterations():
        look = controller.look()
        if not look.busy and look.state.batches:
            turning.answer()
    (first,) = turning.task.iterations()
    record_id = next(i.record_id for i in turning.task.batches()[0].items if int(i.record_id[1:]) % 5 != 4)
    turning.annotation.answer("w", "t", record_id, "a1", ["river"])
    turning.turn(controller)
    said = [e.labels for e in turning.task.labels.read() if e.record_id == record_id]
    assert said[-1] == ("river",)
    assert len(turning.task.iterations()) > first.number


def test_a_data_set_deleted_in_the_tool_takes_no_label_with_it_and_its_open_batch_is_sent_again(
    tmp_path: Path,
) -> None:
    turning = Turning(tmp_path, spec=make_spec(stop={"criterion": "none"})).begin()
    controller = turning.controller()
    while len(turning.task.iterations()) < 2 or not controller.look().state.batches:
        if not controller.look().busy:
            turning.answer()
    said = {(e.record_id, e.labels) for e in turning.task.labels.read()}
    turning.annotation.delete_dataset("w", "t")
    turning.clock.now += timedelta(hours=2)  # past the next full sweep
    for _ in range(20):
        look = controller.look()
    assert {(e.record_id, e.labels) for e in turning.task.labels.read()} == said
    (opened,) = (batch for batch in look.state.batches if not batch.closed)
    (batch,) = (b for b in turning.task.batches() if b.batch == opened.batch)
    assert set(turning.annotation.records("w", "t")) == {item.record_id for item in batch.items}


def test_a_reading_that_misses_records_for_a_moment_withdraws_nothing_and_closes_nothing(tmp_path: Path) -> None:
    turning = Turning(tmp_path).begin()
    controller = turning.controller()
    while not controller.look().state.batches:
        pass
    batch = turning.task.batches()[0]
    turning.annotation.answer("w", "t", batch.items[0].record_id, "a1", [turning.truth[batch.items[0].record_id]])
    controller.look()
    events = len(turning.task.labels.read().events)
    with pytest.MonkeyPatch.context() as patch:  # an index that is being built anew
        patch.setattr(turning.annotation, "read", lambda workspace, dataset, ids: [])
        for _ in range(10):
            look = controller.look()
    assert len(turning.task.labels.read().events) == events
    assert look.state.batches
    assert not look.state.batches[0].closed


def test_an_answer_that_is_taken_back_is_withdrawn(tmp_path: Path) -> None:
    turning = Turning(tmp_path).begin()
    controller = turning.controller()
    while not controller.look().state.batches:
        pass
    record_id = turning.task.batches()[0].items[0].record_id
    turning.annotation.answer("w", "t", record_id, "a1", [turning.truth[record_id]])
    controller.look()
    turning.annotation.withdraw("w", "t", record_id, "a1")
    controller.look()
    assert [str(e.event) for e in turning.task.labels.read()] == ["answer", "withdraw"]


def open_batch_of(turning: Turning) -> tuple[Reconciler, list[str]]:
    """A controller that has sent a first batch, and the batch's records."""
    controller = turning.controller()
    while not controller.look().state.batches:
        pass
    return controller, [item.record_id for item in turning.task.batches()[0].items]


@pytest.mark.parametrize("closed", [False, True])
def test_answers_of_an_account_that_is_deleted_stay_and_its_name_is_said(tmp_path: Path, closed: bool) -> None:
    spec = make_spec(stop={"criterion": "none"}).model_copy(update={"annotation": AnnotationSpec(min_submitted=2)})
    turning = Turning(tmp_path, spec=spec).begin()
    controller, ids = open_batch_of(turning)
    for who in ("ann", "bob"):
        for record_id in ids if closed else ids[:3]:
            turning.annotation.answer("w", "t", record_id, who, [turning.truth[record_id]])
    if not closed:
        turning.annotation.answer("w", "t", ids[3], "ann", ["river"])
    turning.clock.now += timedelta(minutes=1)
    for _ in range(40 if closed else 3):
        look = controller.look()
    assert bool(turning.task.iterations()) == closed
    assert look.gone_accounts == ()
    said = turning.task.labels.read().events
    turning.annotation.delete_account("ann")
    turning.clock.now += timedelta(hours=2)
    for _ in range(3):
        look = controller.look()
    assert turning.task.labels.read().events == said
    assert look.gone_accounts == ("Ann",)
    counted = Counter(turning.task).count(turning.task.labels.read(), turning.task.batches())
    assert counted.undecided == Undecided(waiting=0 if closed else 1, disputed=0, needed=2)
    if not closed:
        turning.annotation.withdraw("w", "t", ids[0], "bob")  # bob has an account: his answer is taken back
        look = controller.look()
        assert [(str(e.event), e.annotator) for e in turning.task.labels.read().events[len(said) :]] == [
            ("withdraw", "bob")
        ]
    anew = turning.controller()
    assert anew.look().gone_accounts == ("ann",), "a new controller has never seen the name"


def test_an_account_that_takes_its_only_answer_back_has_taken_it_back(tmp_path: Path) -> None:
    turning = Turning(tmp_path).begin()
    controller, ids = open_batch_of(turning)
    turning.annotation.answer("w", "t", ids[0], "ann", ["river"])
    controller.look()
    turning.annotation.withdraw("w", "t", ids[0], "ann")
    look = controller.look()
    assert [str(event.event) for event in turning.task.labels.read()] == ["answer", "withdraw"]
    assert look.gone_accounts == ()


def test_answers_to_an_open_batch_stay_when_its_data_set_is_deleted_and_it_is_sent_again(tmp_path: Path) -> None:
    turning = Turning(tmp_path).begin()
    controller, ids = open_batch_of(turning)
    for record_id in ids[:3]:
        turning.annotation.answer("w", "t", record_id, "ann", [turning.truth[record_id]])
    look = controller.look()
    said = turning.task.labels.read().events
    assert len(said) == 3
    turning.annotation.delete_dataset("w", "t")
    for _ in range(10):
        turning.clock.now += timedelta(minutes=1)
        look = controller.look()
    assert set(turning.annotation.records("w", "t")) == set(ids)
    assert turning.task.labels.read().events == said
    assert look.seen.batches[look.state.batches[0].batch].answered == 3
    turning.annotation.answer("w", "t", ids[0], "ann", ["metal"])
    controller.look()
    assert [event.labels for event in turning.task.labels.read().events[3:]] == [("metal",)]
    turning.annotation.withdraw("w", "t", ids[0], "ann")
    controller.look()
    assert [str(event.event) for event in turning.task.labels.read().events[3:]] == ["answer", "withdraw"]


def test_a_version_that_cannot_be_read_any_more_stops_nothing(tmp_path: Path) -> None:
    turning = Turning(tmp_path, spec=make_spec(stop={"max_iterations": 4})).begin()
    controller = turning.controller()
    while len(turning.task.iterations()) < 2:
        if not controller.look().busy:
            turning.answer()
    current = Registry(turning.store, turning.task.keys).alias(CURRENT)
    assert current is not None
    manifest = Registry(turning.store, turning.task.keys).manifest(current.version)
    for blob in manifest.blobs.values():
        turning.store.put(keys.blob(blob.sha256), b"rotten")
    turning.folder = tmp_path / "a new node"
    turning.turn()
    after = Registry(turning.store, turning.task.keys).alias(CURRENT)
    assert after is not None
    assert after.version == turning.task.iterations()[-1].version


@pytest.mark.parametrize("killed", [False, True])
def test_a_disputed_record_is_shown_to_one_more_annotator_and_not_to_those_who_answered(
    tmp_path: Path, killed: bool
) -> None:
    """Ann and Bob disagree on two records of the first batch, and Cas settles one of them. Of the second controller,
    the annotation tool loses a reply at every write, as if it was killed there."""
    spec = make_spec(stop={"criterion": "none"}).model_copy(update={"annotation": AnnotationSpec(min_submitted=2)})
    turning = Turning(tmp_path, spec=spec).begin()
    controller, ids = open_batch_of(turning)
    for record_id in ids:
        for who in ("ann", "bob"):
            label = "river" if record_id in ids[:2] and who == "bob" else "fruit" if record_id in ids[:2] else None
            turning.annotation.answer("w", "t", record_id, who, [label or turning.truth[record_id]])
    turning.annotation.answer("w", "t", ids[2], "cas", [turning.truth[ids[2]]])
    disputed = set(ids[:2])
    if killed:
        lost: set[str] = set()

        def lose(operation: str) -> None:
            if operation in ("ensure_dataset", "log") and len(lost) < 4:
                lost.add(f"{operation} {len(lost)}")
                raise Unavailable("the reply is lost")

        turning.annotation.after = lose
    for _ in range(80):
        if killed:
            controller = turning.controller()
        look = controller.look()
        turning.clock.now += timedelta(minutes=1)
        if len(turning.task.batches()) == 2 and [one.batch for one in look.state.batches] == ["g1-b0002"]:
            break
    second = turning.task.batches()[1]
    assert {item.record_id for item in second.items if item.again == 1} == disputed
    purposes = {item.record_id: item.purpose for item in turning.task.batches()[0].items}
    assert all(item.purpose is purposes[item.record_id] for item in second.items if item.again)
    tool = turning.annotation
    assert set(tool.records("w", "t again")) == disputed
    assert all(one.suggestion is None and one.uncertainty is None for one in tool.records("w", "t again").values())
    assert [tool.pending("w", "t again", who) for who in ("ann", "bob", "cas")] == [set(), set(), disputed]
    counts = Counter(turning.task).count(turning.task.labels.read(), turning.task.batches())
    assert counts.waiting_again == {"t again": 2}
    assert counts.progress(second).total == len(second.items) - 2, "a batch does not wait for them"

    before = turning.task.labels.read().events
    tool.answer("w", "t again", ids[0], "cas", ["river"])
    turning.clock.now += timedelta(minutes=1)
    controller.look()
    ((event,),) = [turning.task.labels.read().events[len(before) :]]
    assert (event.record_id, event.annotator, event.dataset) == (ids[0], "cas", "t again")
    assert event.purpose is purposes[ids[0]]
    resolved = resolve(turning.task.labels.read().events, LABELS, False, 2)
    assert resolved[ids[0]].labels == ("river",)
    assert resolved[ids[1]].disputed
    for record_id in {item.record_id for item in second.items} - disputed:
        for who in ("ann", "bob"):
            tool.answer("w", "t", record_id, who, [turning.truth[record_id]])
    for _ in range(40):
        turning.clock.now += timedelta(minutes=1)
        look = controller.look()
    third = turning.task.batches()[2]
    assert not {item.record_id for item in third.items} & set(ids), "the other one waits for its answer"


def test_new_guidelines_are_shown_while_a_batch_is_open(tmp_path: Path) -> None:
    turning = Turning(tmp_path).begin()
    controller, _ = open_batch_of(turning)
    controller.look()
    described = [label.model_copy(update={"description": f"It is {label.name}."}) for label in turning.spec.labels]
    spec = turning.spec.model_copy(update={"guidelines": "Read twice.", "labels": tuple(described)})
    Tasks(turning.store).apply(spec, "test")
    seen: list[str] = []
    turning.annotation.before = seen.append
    for _ in range(3):
        controller.look()
    shown = turning.annotation.spec("w", "t")
    assert (shown.guidelines, shown.labels) == ("Read twice.", tuple(described))
    assert seen.count("ensure_dataset") == 1, "once for each change"


def test_a_data_set_that_was_deleted_is_not_made_anew_for_its_guidelines(tmp_path: Path) -> None:
    turning = Turning(tmp_path).begin()
    open_batch_of(turning)
    turning.annotation.delete_dataset("w", "t")
    Guidelines(turning.task, turning.annotation).refresh(turning.task.batches(), {"g1-b0001": frozenset()})
    with pytest.raises(NotFound):
        turning.annotation.spec("w", "t")


def test_a_look_at_a_task_at_rest_asks_the_store_little(tmp_path: Path) -> None:
    """200 quiet tasks are looked at once a minute each, so what a look asks for is what they cost."""
    turning = Turning(tmp_path).begin()
    open_batch_of(turning)
    controller = turning.controller()
    while controller.look().busy:
        pass
    asked: list[tuple[str, str]] = []
    turning.store.before = lambda operation, key: asked.append((operation, key))
    assert not controller.look().busy
    by_task = [one for one in asked if "/aliases/candidate" not in one[1]]  # the played fleet reads it too
    assert len(by_task) <= 9, by_task
