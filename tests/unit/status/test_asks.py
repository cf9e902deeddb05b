"""What a user is told who asks the loop for something."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.tasks.sample import task_of
from tornio.api import Asked
from tornio.errors import Conflict, NotFound, NotServable
from tornio.records import Record
from tornio.schemas.loop import AutoLabelling, LoopState, StopProgress, TrainIntent, Withdrawal
from tornio.schemas.task import GateVerdict, Iteration
from tornio.spec import TaskSpec
from tornio.status.asks import Ask, ask_of_loop, ask_promotion, ask_training
from tornio.status.snapshot import Reader
from tornio.status.task_status import observed
from tornio.storage import documents
from tornio.tasks import Task, Tasks, roll_back

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 1, tzinfo=UTC)

SPEC = TaskSpec.model_validate(
    {"workspace": "shop", "name": "inbox", "labels": ["a", "b"], "loop": {"stop": {"window": 1, "kappa": 0.9}}}
)

TAUGHT = TrainIntent(
    iteration=0, batches=(), label_seq=0, pool_seq=1, spec_rev=1, parent=None, method="distillation", started_at=NOW
)  # fmt: skip


def stopped_task() -> Task:
    """A task whose last versions agreed."""
    task = task_of(SPEC)
    stop = StopProgress(signals=(0.5, 0.95))
    documents.update(
        task.store,
        task.keys.loop,
        LoopState,
        lambda state: state.evolve(stop=stop, iteration=3, trained_pool_seq=task.pool.last_seq()),
    )
    return task


def label(task: Task, *labels: str) -> None:
    task.import_labels(
        [(Record(f"r{n:02}", f"Text number {n}."), [name]) for n, name in enumerate(labels)], "train", "s"
    )


def train_now(task: Task, force: bool = False) -> Asked:
    return ask_training(task, observed(Reader(task.store, task).snapshot(), NOW), force)


def trained(task: Task, **state: Any) -> None:
    """The task has trained with all its labels."""
    seqs = {"trained_label_seq": task.labels.read().seq, "trained_spec_rev": task.document.spec_rev}
    documents.update(
        task.store,
        task.keys.loop,
        LoopState,
        lambda old: old.evolve(**{"iteration": 1, "served_train_now": old.asks.train_now, **seqs, **state}),
    )


def test_a_training_for_which_the_labels_do_not_suffice_is_refused_with_what_lacks() -> None:
    task = task_of(SPEC)
    label(task, "a")
    for force in (False, True):
        with pytest.raises(Conflict, match=r"cannot train yet: .*only 'a' has one so far; import labels"):
            train_now(task, force)
    assert not task.loop_state().asks.train_now


def test_without_labels_the_teacher_is_asked_again_unless_it_is_at_work() -> None:
    task = task_of(SPEC.model_copy(update={"loop": SPEC.loop.model_copy(update={"bootstrap": "teacher"})}))
    trained(task, iteration=0, train=TAUGHT)
    with pytest.raises(Conflict, match="cannot train yet"):
        train_now(task)
    trained(task, iteration=0, train=None, attention={"train": "the teacher could not teach a first version"})
    assert train_now(task).said.startswith("shop/inbox will ask its teacher once more for a first version as soon as")
    ask_of_loop(task, Ask.PAUSE)
    assert "it will ask its teacher once more for a first version after `tornio resume" in train_now(task).said
    assert task.loop_state().asks.train_now == 2


def test_a_training_without_a_new_label_is_refused_unless_it_is_forced() -> None:
    task = task_of(SPEC)
    label(task, "a", "b")
    assert train_now(task).asks.train_now
    trained(task)
    with pytest.raises(Conflict, match="would repeat it") as refused:
        train_now(task)
    assert "--force" in str(refused.value)
    assert train_now(task, force=True).asks.train_now
    assert task.loop_state().asks.forced == 2
    trained(task)
    label(task, "b", "b", "a")
    assert train_now(task).asks.train_now


def test_after_a_failure_or_with_another_spec_the_same_labels_may_train_again() -> None:
    task = task_of(SPEC)
    label(task, "a", "b")
    trained(task, attention={"train": "training 1 failed: no encoder. `tornio train-now` tries again"})
    assert train_now(task).asks.train_now
    trained(task)
    Tasks(task.store).apply(SPEC.model_copy(update={"guidelines": "Read twice."}), "test")
    task.refresh()
    assert train_now(task).asks.train_now


def test_resume_ends_a_pause_and_says_so() -> None:
    task = task_of(SPEC)
    assert "no batch and no training starts" in ask_of_loop(task, Ask.PAUSE).said
    label(task, "a", "b")
    assert "it will train with its present labels after `tornio resume" in train_now(task).said
    answer = ask_of_loop(task, Ask.RESUME)
    assert answer.said == "shop/inbox goes on."
    assert not answer.asks.paused


def test_resume_of_a_task_that_stopped_by_itself_says_how_to_go_on() -> None:
    answer = ask_of_loop(stopped_task(), Ask.RESUME)
    assert "has stopped by itself" in answer.said
    assert "tornio pool add shop/inbox FILE" in answer.said
    assert "loop.stop" in answer.said


FINE = GateVerdict(promoted=True, integrity=True, reasons=("better",))
WORSE = GateVerdict(promoted=False, integrity=True, reasons=("worse by 5 points",))
BROKEN = GateVerdict(promoted=False, integrity=False, reasons=("the digests differ",))


def judged(task: Task, number: int, verdict: GateVerdict | None, **fields: Any) -> str:
    values = {
        "number": number, "generation": 1, "batches": (), "label_seq": 1, "pool_seq": 1, "spec_rev": 1, "labels": {},
        "train_run": f"train-{number}", "version": f"v{number}", "verdict": verdict, "started_at": NOW,
        "finished_at": NOW,
    }  # fmt: skip
    documents.create(task.store, task.keys.iteration(number), Iteration.model_validate(values | fields))
    return f"v{number}"


def test_a_version_that_passed_may_be_chosen_again_and_again() -> None:
    task = task_of(SPEC)
    version = judged(task, 1, FINE)
    first = ask_promotion(task, version, "ana", "it knows bills", False)
    assert "v1 serves as soon as" in first.said
    assert "tornio resume shop/inbox" in first.said
    asks = task.loop_state().asks
    assert asks.promote is not None
    assert (asks.promote.version, asks.promote.iteration, asks.promote.who) == ("v1", 1, "ana")
    assert asks.hold == first.asks.hold == "ana promoted v1: it knows bills"
    assert ask_promotion(task, version, "ana", "it knows bills", False) == first
    assert task.loop_state().asks == asks
    assert "New versions may be promoted again" in ask_of_loop(task, Ask.RESUME).said


def test_a_rollback_takes_back_a_choice_that_the_loop_has_not_seen() -> None:
    task = task_of(SPEC)
    ask_promotion(task, judged(task, 1, FINE), "ana", "", False)
    with pytest.raises(NotServable):
        roll_back(task, "ben")
    assert task.loop_state().asks.promote is not None
    task.hold("ben rolled back")
    assert task.loop_state().asks.promote is None


def test_a_version_that_was_refused_for_its_scores_serves_only_by_force() -> None:
    task = task_of(SPEC)
    version = judged(task, 1, WORSE)
    with pytest.raises(Conflict, match=r"v1 was refused: worse by 5 points\. .* --force"):
        ask_promotion(task, version, "ana", "", False)
    assert task.loop_state().asks.hold is None
    assert ask_promotion(task, version, "ana", "", True).asks.hold == "ana promoted v1"


@pytest.mark.parametrize(
    ("verdict", "fields", "why"),
    [
        (BROKEN, {}, "v1 is broken and must not serve: the digests differ"),
        (None, {"failure": "out of memory"}, r"v1 was not judged \(out of memory\)"),
        (FINE, {"generation": 2}, "labels of before"),
        (FINE, {"automatic": ("v0",)}, "v1 must not serve: it was trained on automatic labels of v0"),
    ],
)
def test_no_force_lets_a_version_serve_that_is_broken_or_does_not_fit(
    verdict: GateVerdict | None, fields: dict[str, Any], why: str
) -> None:
    task = task_of(SPEC)
    withdrawn = AutoLabelling(withdrawn={"v0": Withdrawal(why="they were wrong", label_seq=9)})
    documents.update(task.store, task.keys.loop, LoopState, lambda state: state.evolve(auto=withdrawn))
    version = judged(task, 1, verdict, **fields)
    with pytest.raises(Conflict, match=why):
        ask_promotion(task, version, "ana", "", True)
    asks = task.loop_state().asks
    assert (asks.promote, asks.hold) == (None, None)


def test_an_unknown_version_is_named() -> None:
    with pytest.raises(NotFound, match="no version v7 that was judged"):
        ask_promotion(task_of(SPEC), "v7", "ana", "", True)
