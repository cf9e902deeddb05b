"""Predictions of served versions and of the teacher."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationError

from tornio.api.base import MAX_TEXT, MAX_TEXTS, Answer, Request
from tornio.records import Prediction
from tornio.spec import LabelSpec, TeacherSpec
from tornio.spec.base import LABEL_PATTERN
from tornio.spec.labels import label_faults
from tornio.spec.limits import cut, told
from tornio.visible import has_visible

__all__ = ["PredictIn", "Prediction", "Predictions", "ZeroShotIn", "ZeroShotOut", "ZeroShotPrediction"]

_LabelName = Annotated[str, Field(min_length=1, max_length=200, pattern=LABEL_PATTERN)]
"""As ``LabelSpec.name``."""


def _readable(text: str) -> str:
    if not has_visible(text):
        raise ValueError("the text has no character that people can see, so there is nothing to classify: leave it out")
    return text


def _distinct(labels: list[str | LabelSpec]) -> list[str | LabelSpec]:
    names = Counter(label if isinstance(label, str) else label.name for label in labels)
    twice = (f"the label {name!r} is given {count} times: remove it" for name, count in names.items() if count > 1)
    if faults := [*label_faults(list(names)), *twice]:
        raise ValueError(told(faults, str))
    return labels


def _templates(templates: list[str] | None) -> list[str] | None:
    """Check the templates as a task.yaml would be."""
    try:
        TeacherSpec(templates=tuple(templates or TeacherSpec().templates))
    except ValidationError as error:
        raise ValueError(
            "; ".join(cut(str(fault["msg"]).removeprefix("Value error, ")) for fault in error.errors())
        ) from None
    return templates


_Texts = Annotated[
    list[Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_readable)]],
    Field(min_length=1, max_length=MAX_TEXTS),
]
_Label = Annotated[
    Annotated[_LabelName, Tag("name")] | Annotated[LabelSpec, Tag("label")],
    Discriminator(lambda label: "name" if isinstance(label, str) else "label"),
]
_Labels = Annotated[list[_Label], Field(min_length=2, max_length=1000), AfterValidator(_distinct)]
_Templates = Annotated[list[str], Field(min_length=1, max_length=32)]


class PredictIn(Request):
    texts: _Texts


class Predictions(Answer):
    predictions: list[Prediction]


class ZeroShotIn(Request):
    """Classify without training. A label is a name, or a name with a sentence that describes it."""

    texts: _Texts
    labels: _Labels
    templates: Annotated[_Templates | None, AfterValidator(_templates)] = None
    multi_label: bool = False

    def label_specs(self) -> tuple[LabelSpec, ...]:
        """Return every label as a LabelSpec."""
        return tuple(LabelSpec(name=label) if isinstance(label, str) else label for label in self.labels)


class ZeroShotPrediction(Answer):
    labels: list[str]
    probabilities: dict[str, float]
    truncated: bool


class ZeroShotOut(Answer):
    """``agent``: the model that answered."""

    predictions: list[ZeroShotPrediction]
    agent: str
