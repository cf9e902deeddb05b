"""What a user is told who asks the loop for something."""

from __future__ import annotations

import pytest

from tests.unit.tasks.sample import task_of
from tornio.schemas.loop import LoopState, StopProgress
from tornio.spec import TaskSpec
from tornio.status.asks import Ask, ask_of_loop
from tornio.storage import documents
from tornio.tasks import Task

pytestmark = pytest.mark.unit

SPEC = TaskSpec.model_validate(
    {"workspace": "shop", "name": "inbox", "labels": ["a", "b"], "loop": {"stop": {"window": 1, "kappa": 0.9}}}
)


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


def test_resume_ends_a_pause_and_says_so() -> None:
    task = task_of(SPEC)
    assert "no batch and no training starts" in ask_of_loop(task, Ask.PAUSE).said
    assert "it will train with its present labels after `tornio resume" in ask_of_loop(task, Ask.TRAIN_NOW).said
    answer = ask_of_loop(task, Ask.RESUME)
    assert answer.said == "shop/inbox goes on."
    assert not answer.asks.paused


def test_resume_of_a_task_that_stopped_by_itself_says_how_to_go_on() -> None:
    answer = ask_of_loop(stopped_task(), Ask.RESUME)
    assert "has stopped by itself" in answer.said
    assert "tornio pool add shop/inbox FILE" in answer.said
    assert "loop.stop" in answer.said
