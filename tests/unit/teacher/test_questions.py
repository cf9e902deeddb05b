"""Zero-shot questions: what is asked, how it shares a batch, what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from services.batching import Batcher
from services.teacher.questions import Answer, Question, ask, response
from services.teacher.settings import TeacherSettings
from tornio.errors import InvalidInput
from tornio.models.port import Scores
from tornio.spec import LabelSpec, TeacherSpec

pytestmark = pytest.mark.unit


class Spotter:
    """A zero-shot model that looks for the label's name in the text."""

    name = "teacher:spotter"

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def score(
        self, texts: Sequence[str], labels: Sequence[LabelSpec], templates: Sequence[str], multi_label: bool = False
    ) -> Scores:
        self.calls.append(list(texts))
        found = np.array([[0.9 if label.name in text else 0.1 for label in labels] for text in texts], np.float32)
        found = found.reshape(len(texts), len(labels))
        return Scores(found, found, np.array([len(text) > 20 for text in texts], dtype=bool))


COLOURS = [LabelSpec(name="red"), LabelSpec(name="blue", description="like the sky")]


def test_answers_become_one_response() -> None:
    question = Question.of(COLOURS, [], multi_label=False)
    answers = response(ask(Spotter(), question, ["a red one", "blue, and much too long"]))
    assert [one.labels for one in answers.predictions] == [["red"], ["blue"]]
    assert [one.probabilities for one in answers.predictions] == [
        {"red": pytest.approx(0.9), "blue": pytest.approx(0.1)},
        {"red": pytest.approx(0.1), "blue": pytest.approx(0.9)},
    ]
    assert [one.truncated for one in answers.predictions] == [False, True]
    assert answers.agent == "teacher:spotter"


def test_with_several_labels_allowed_there_may_be_none_or_all() -> None:
    question = Question.of(COLOURS, ["{}"], multi_label=True)
    answers = ask(Spotter(), question, ["green", "red and blue"])
    assert [answer.labels for answer in answers] == [(), ("red", "blue")]


def test_without_templates_it_takes_those_of_a_task() -> None:
    assert Question.of(COLOURS, [], multi_label=False).templates == TeacherSpec().templates


@pytest.mark.parametrize(
    ("labels", "templates", "reason"),
    [([], [], "give at least one"), (COLOURS, ["no place"], "cannot be used.*exactly once")],
)
def test_what_cannot_be_asked_is_refused(labels: list[LabelSpec], templates: list[str], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        Question.of(labels, templates, multi_label=False)


def test_only_the_same_question_shares_a_batch() -> None:
    model = Spotter()

    async def run() -> None:
        batcher = Batcher[Question, Answer](lambda q: partial(ask, model, q), batch_tokens=1000, queue_tokens=1000)
        one, other = Question.of(COLOURS, [], False), Question.of(COLOURS, [], True)
        asked = [(one, "a"), (one, "b"), (other, "c"), (one, "d")]
        await asyncio.gather(*(batcher.submit(question, [text]) for question, text in asked))

    asyncio.run(run())
    assert model.calls == [["a", "b", "d"], ["c"]]


def test_the_default_teacher_needs_no_second_model() -> None:
    assert TeacherSettings().spec() == TeacherSpec()
