"""A zero-shot question, and its answers. Texts that are asked the same question can share a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from tornio.api import ZeroShotOut, ZeroShotPrediction
from tornio.errors import InvalidInput
from tornio.models.decide import decide_labels
from tornio.models.port import ZeroShotModel
from tornio.spec import LabelSpec, TeacherSpec


@dataclass(frozen=True, slots=True)
class Question:
    """Which of these labels fit a text? ``templates``: the sentences that a label's name is put into."""

    labels: tuple[LabelSpec, ...]
    templates: tuple[str, ...]
    multi_label: bool

    @classmethod
    def of(cls, labels: Sequence[LabelSpec], templates: Sequence[str], multi_label: bool) -> Question:
        """Return the question. Without templates it has the default ones of task.yaml.

        Raises InvalidInput without labels, or for templates that a task.yaml could not have either.
        """
        if not labels:
            raise InvalidInput("A zero-shot request needs labels: give at least one label.")
        try:
            teacher = TeacherSpec(templates=tuple(templates)) if templates else TeacherSpec()
        except ValidationError as error:
            reasons = "; ".join(str(fault["msg"]) for fault in error.errors())
            raise InvalidInput(f"The templates cannot be used: {reasons}.") from error
        return cls(tuple(labels), teacher.templates, multi_label)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer for one text. Probabilities are in the order of the question's labels."""

    labels: tuple[str, ...]
    probabilities: Mapping[str, float]
    truncated: bool
    agent: str


def ask(model: ZeroShotModel, question: Question, texts: Sequence[str]) -> list[Answer]:
    """Return an answer for each text, in order."""
    names = [label.name for label in question.labels]
    scores = model.score(texts, question.labels, question.templates, question.multi_label)
    chosen = decide_labels(scores.probabilities, names, question.multi_label)
    return [
        Answer(labels, dict(zip(names, map(float, row), strict=True)), bool(truncated), model.name)
        for labels, row, truncated in zip(chosen, scores.probabilities, scores.truncated, strict=True)
    ]


def response(answers: Sequence[Answer]) -> ZeroShotOut:
    """Return the answers as the response to a zero-shot request."""
    return ZeroShotOut(
        predictions=[
            ZeroShotPrediction(
                labels=list(answer.labels), probabilities=dict(answer.probabilities), truncated=answer.truncated
            )
            for answer in answers
        ],
        agent=answers[0].agent if answers else "",
    )
