"""The inference API of Hugging Face for text classification and zero-shot classification.

Source: huggingface.co/docs/inference-providers, tasks "Text Classification" and "Zero Shot Classification", as
``huggingface_hub.InferenceClient`` speaks it. Deviations: ``function_to_apply`` is refused where it would need another
function than the one that the version was calibrated with, because Tornio answers probabilities and keeps no logits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.gateway.dependencies import AnyCaller, Reader, Task, TheAnswering
from services.gateway.protocols.errors import REFUSALS, refusal, told
from tornio.api import PredictIn, ZeroShotIn
from tornio.errors import InvalidInput

router = APIRouter(prefix="/hf", tags=["hugging face"], responses=REFUSALS, strict_content_type=False)
errors = refusal

_FUNCTIONS = {False: "softmax", True: "sigmoid"}
"""What gives a model's probabilities, by whether a text may have several labels."""


class _In(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    inputs: str | list[str] = Field(description="A text, or a list of texts.")
    options: dict[str, Any] = Field({}, description="Ignored. Here so that older clients work.")

    @property
    def texts(self) -> list[str]:
        """The texts as a list."""
        return [self.inputs] if isinstance(self.inputs, str) else self.inputs


class ClassificationParameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    top_k: int | None = Field(None, ge=1, description="The most probable labels that are answered. Default all.")
    function_to_apply: Literal["softmax", "sigmoid", "none"] | None = Field(
        None,
        description="Only what the model has: `softmax` for one label per text, `sigmoid` for several. Default that.",
    )


class ClassificationIn(_In):
    parameters: ClassificationParameters | None = None


class ZeroShotParameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    candidate_labels: list[str]
    hypothesis_template: str | None = Field(None, description="A sentence with {} in the place of the label.")
    multi_label: bool | None = None


class ZeroShotClassificationIn(_In):
    parameters: ZeroShotParameters


class Scored(BaseModel):
    model_config = ConfigDict(frozen=True)

    label: str
    score: float


_CLASSIFY = {"inputs": "Where is my parcel?", "parameters": {"top_k": 2}}
_ZERO_SHOT = {
    "inputs": "Where is my parcel?",
    "parameters": {"candidate_labels": ["delivery", "billing"], "hypothesis_template": "This is about {}."},
}


@router.post("/models/{workspace}/{task}")
async def classify(
    body: Annotated[ClassificationIn, Body(examples=[_CLASSIFY])], task: Task, answering: TheAnswering, caller: Reader
) -> list[list[Scored]]:
    """Classify texts by the version that serves. Each text has a list of labels, the most probable first."""
    parameters = body.parameters or ClassificationParameters()
    try:
        texts = PredictIn(texts=body.texts).texts
    except ValidationError as error:
        raise InvalidInput(told(error, "inputs")) from None
    predictions = await answering.predict(caller, task, texts)
    _check_function(parameters.function_to_apply, predictions[0].multi_label)
    return [_scored(one.probabilities)[: parameters.top_k] for one in predictions]


@router.post("/zero-shot-classification")
async def zero_shot(
    body: Annotated[ZeroShotClassificationIn, Body(examples=[_ZERO_SHOT])], answering: TheAnswering, caller: AnyCaller
) -> list[Scored] | list[list[Scored]]:
    """Classify without training, by the names of the labels. A list of texts has a list of answers."""
    parameters = body.parameters
    template = parameters.hypothesis_template
    try:
        asked = ZeroShotIn(
            texts=body.texts,
            labels=list(parameters.candidate_labels),
            templates=None if template is None else [template],
            multi_label=bool(parameters.multi_label),
        )
    except ValidationError as error:
        raise InvalidInput(told(error, "inputs")) from None
    answer = await answering.zero_shot(caller, asked)
    rows = [_scored(one.probabilities) for one in answer.predictions]
    return rows[0] if isinstance(body.inputs, str) else rows


def _scored(probabilities: Mapping[str, float]) -> list[Scored]:
    rows = [Scored(label=label, score=score) for label, score in probabilities.items()]
    return sorted(rows, key=lambda row: -row.score)


def _check_function(function: str | None, multi_label: bool) -> None:
    known = _FUNCTIONS[multi_label]
    if function not in (None, known):
        raise InvalidInput(
            f"The parameter function_to_apply is {function!r}. The probabilities of this model are those of {known!r}: "
            "leave the parameter out."
        )
