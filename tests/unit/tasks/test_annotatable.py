"""What annotators cannot be asked is refused when the task is made, and a task that exists goes on."""

from __future__ import annotations

from typing import Any

import pytest

from tornio.errors import InvalidSpec
from tornio.spec import TaskSpec
from tornio.storage.memory import MemoryStore
from tornio.tasks import Tasks

pytestmark = pytest.mark.unit


def spec(count: int = 2, **fields: Any) -> TaskSpec:
    labels = [f"label {number}" for number in range(count)]
    return TaskSpec.model_validate({"workspace": "w", "name": "t", "labels": labels, **fields})


@pytest.mark.parametrize(
    ("refused", "says"),
    [
        (
            spec(600),
            "found 600, but annotators can be offered at most 500. Use .*TORNIO_ARGILLA_MAX_LABELS",
        ),
        (spec(500, multi_label=True), "found 500, .*at most 499"),
        (spec(labels=["spam", "Spam"]), "'spam' and 'Spam' look the same.*rename one"),
        (spec(labels=["spam", "\u200b"]), "no character that people can see"),
        (spec(multi_label=True, labels=["spam", "(none of these)"]), "reserved"),
        (spec(guidelines="g" * 10_001), "guidelines: found 10,001 characters, .*at most 10,000. Shorten"),
        (spec(guidelines="<" * 2_501), "guidelines: found 10,004 characters .each < .*at most 10,000. Shorten"),
    ],
)
def test_a_new_task_is_refused(refused: TaskSpec, says: str) -> None:
    store = MemoryStore()
    with pytest.raises(InvalidSpec, match=says):
        Tasks(store).apply(refused, "me")
    assert not list(store.list(""))


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(InvalidSpec) as caught:
        Tasks(MemoryStore()).apply(spec(labels=["a", "A", "b", "B"], guidelines="g" * 20_000), "me")
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize("fits", [spec(500), spec(499, multi_label=True), spec(guidelines="g" * 10_000)])
def test_what_argilla_takes_is_taken(fits: TaskSpec) -> None:
    assert Tasks(MemoryStore()).apply(fits, "me").created


def test_where_argilla_takes_more_labels_a_task_may_have_them() -> None:
    assert Tasks(MemoryStore(), max_labels=600).apply(spec(600), "me").created


def test_a_stored_task_goes_on() -> None:
    """Made by a release that did not check, or under another limit."""
    store = MemoryStore()
    Tasks(store, max_labels=1_000).apply(spec(600), "me")
    tasks = Tasks(store)
    assert not tasks.apply(spec(600), "me").changes
    assert tasks.apply(spec(600, loop={"batch_size": 50}), "me").changes
    with pytest.raises(InvalidSpec, match="guidelines"):
        tasks.apply(spec(600, guidelines="g" * 20_000), "me")
