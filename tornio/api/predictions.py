"""Predictions of served versions and of the teacher."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tornio.api.base import MAX_TEXT, MAX_TEXTS, Answer, Request
from tornio.records import Prediction
from tornio.spec import LabelSpec

__all__ = ["PredictIn", "Prediction", "Predictions", "ZeroShotIn", "ZeroShotOut", "ZeroShotPrediction"]

_LabelName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")]
"""As ``LabelSpec.name``."""


class PredictIn(Request):
    texts: list[Annotated[str, Field(max_length=MAX_TEXT)]] = Field(min_length=1, max_length=MAX_TEXTS)


class Predictions(Answer):
    predictions: list[Prediction]


class ZeroShotIn(Request):
    """Classify without training. A label is a name, or a name with a sentence that describes it."""

    texts: list[Annotated[str, Field(max_length=MAX_TEXT)]] = Field(min_length=1, max_length=MAX_TEXTS)
    labels: list[_LabelName | LabelSpec] = Field(min_length=2, max_length=1000)
    templates: list[str] | None = Field(None, min_length=1, max_length=32)
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
