"""A zero-shot question, and its answers. Texts that are asked the same question can share a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from tornio.errors import InvalidInput
from tornio.models.decide import decide_labels
from tornio.models.port import ZeroShotModel
from tornio.spec import LabelSpec, TeacherSpec


@dataclass(frozen=True, slots=True)
class Question:
    """Which of these labels, said in these templates?"""

    labels: tuple[LabelSpec, ...]
    templates: tuple[str, ...]
    multi_label: bool

    @classmethod
    def of(cls, labels: Sequence[Mapping[str, Any]], templates: Sequence[str], multi_label: bool) -> Question:
        """Raises InvalidInput for labels or templates that a task.yaml could not have either."""
        if not labels:
            raise InvalidInput("a zero-shot request needs labels: give at least one")
        try:
            specs = tuple(LabelSpec.model_validate(label) for label in labels)
            said = TeacherSpec(templates=tuple(templates)).templates if templates else TeacherSpec().templates
        except ValidationError as error:
            reasons = "; ".join(str(found["msg"]) for found in error.errors())
            raise InvalidInput(f"the labels or templates cannot be used: {reasons}") from error
        return cls(specs, said, multi_label)


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one text. Probabilities are in the order of the question's labels."""

    labels: tuple[str, ...]
    probabilities: Mapping[str, float]
    truncated: bool
    agent: str


def ask(model: ZeroShotModel, question: Question, texts: Sequence[str]) -> list[Answer]:
    """An answer for each text, in order."""
    names = [label.name for label in question.labels]
    scores = model.score(texts, question.labels, question.templates, question.multi_label)
    chosen = decide_labels(scores.probabilities, names, question.multi_label)
    return [
        Answer(labels, dict(zip(names, map(float, row), strict=True)), bool(truncated), model.name)
        for labels, row, truncated in zip(chosen, scores.probabilities, scores.truncated, strict=True)
    ]


def columns(answers: Sequence[Answer]) -> dict[str, Any]:
    """``{"labels": [[name]], "probabilities": [{name: p}], "truncated": [bool], "agent": str}``."""
    return {
        "labels": [list(answer.labels) for answer in answers],
        "probabilities": [dict(answer.probabilities) for answer in answers],
        "truncated": [answer.truncated for answer in answers],
        "agent": answers[0].agent if answers else "",
    }
