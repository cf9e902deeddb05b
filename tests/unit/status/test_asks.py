"""What a user is told who asks the loop for something."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.tasks.sample import task_of
from tornio.api import Asked
from tornio.errors import Conflict
from tornio.records import Record
from tornio.schemas.loop import LoopState, StopProgress, TrainIntent
from tornio.spec import TaskSpec
from tornio.status.asks import Ask, ask_of_loop, ask_training
from tornio.status.snapshot import Reader
from tornio.status.task_status import observed
from tornio.storage import documents
from tornio.tasks import Task, Tasks

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
