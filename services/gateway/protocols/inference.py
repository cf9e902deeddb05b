"""Inference requests and answers of the Open Inference Protocol, without HTTP. Pure.

A model has one input, ``text``: BYTES [n]. The outputs are in ``OUTPUTS``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.gateway.protocols.errors import told
from services.gateway.protocols.tensors import BOOL, BYTES, FP32, Tensor, flatten, split, unpack_bytes
from tornio.api import PredictIn, Prediction, TaskName
from tornio.errors import InvalidInput, NotFound, storable
from tornio.spec import NAME_PATTERN
from tornio.spec.limits import cut

INPUT = "text"
_NAME = re.compile(NAME_PATTERN)
_CLASSIFICATION = "classification"
_SIZE, _BINARY, _ALL_BINARY = "binary_data_size", "binary_data", "binary_data_output"


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


Parameters = Annotated[
    dict[str, Any], Field(description="Parameters that Tornio does not know are ignored, as the protocol has it.")
]


class TensorIn(_Message):
    name: str = Field(description="`text`")
    shape: list[int] = Field(min_length=1, max_length=2, description="[n], or [n, 1].")
    datatype: str = Field(description="`BYTES`")
    parameters: Parameters = {}
    data: list[Any] | None = Field(None, description="The texts. Left out with the parameter `binary_data_size`.")


class OutputIn(_Message):
    name: str
    parameters: Parameters = {}


class InferIn(_Message):
    """An inference request of the Open Inference Protocol."""

    id: str | None = Field(None, max_length=1_000, description="The answer repeats it.")
    parameters: Parameters = {}
    inputs: list[TensorIn] = Field(min_length=1)
    outputs: list[OutputIn] = Field([], description="The outputs that are asked for. Default all.")


class TensorOut(_Message):
    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] = {}
    data: list[Any] = []


class InferOut(_Message):
    """An answer of the Open Inference Protocol.

    ``parameters``: `revision` of `current` under which the version answered, 0 for one that does not serve;
    `taught_by`, if it learned from a teacher's labels; `outdated_labels`, if its labels are not the task's any more.
    """

    model_name: str
    model_version: str
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[TensorOut]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request. ``outputs``: the names of the outputs in order, and whether each is to be binary; None for all."""

    id: str | None
    texts: list[str]
    outputs: Mapping[str, bool] | None
    all_binary: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """``header_length``: bytes of the JSON part, if binary data follow it."""

    body: bytes
    header_length: int | None


def read_request(body: bytes, header_length: str | None) -> Asked:
    """Read a request. Raises InvalidInput."""
    header, binary = split(body, header_length)
    try:
        asked = InferIn.model_validate_json(header)
    except ValidationError as error:
        raise InvalidInput(told(error, "The request")) from None
    if _CLASSIFICATION in {key for output in asked.outputs for key in output.parameters}:
        raise InvalidInput("The parameter 'classification' is not known here. 'probabilities' has those of all labels.")
    everything = bool(asked.parameters.get(_ALL_BINARY, False))
    outputs = {one.name: bool(one.parameters.get(_BINARY, everything)) for one in asked.outputs}
    return Asked(asked.id, _texts(asked, binary), outputs or None, everything)


def _texts(asked: InferIn, binary: bytes) -> list[str]:
    if len(asked.inputs) != 1 or asked.inputs[0].name != INPUT:
        names = cut(", ".join(repr(one.name) for one in asked.inputs))
        raise InvalidInput(f"The model has one input, {INPUT!r}, and the request has {storable(names)}.")
    tensor = asked.inputs[0]
    if tensor.datatype != BYTES:
        raise InvalidInput(f"The datatype of {INPUT!r} is {BYTES}, not {storable(cut(tensor.datatype))!r}.")
    content = tensor.parameters.get("content_type", "str")
    if content != "str":
        raise InvalidInput(f"The texts of {INPUT!r} have the content type {cut(str(content))!r}. Send it as 'str'.")
    texts = _binary(tensor, binary) if _SIZE in tensor.parameters else _plain(tensor, binary)
    n, *rest = tensor.shape
    if n != len(texts) or rest not in ([], [1]):
        raise InvalidInput(
            f"{INPUT!r} has the shape {tensor.shape} and {len(texts):,} texts. The shape must be [{len(texts)}]."
        )
    try:
        return PredictIn(texts=texts).texts
    except ValidationError as error:
        raise InvalidInput(told(error, INPUT)) from None


def _plain(tensor: TensorIn, binary: bytes) -> list[str]:
    if tensor.data is None:
        raise InvalidInput(f"{INPUT!r} has neither 'data' nor the parameter {_SIZE!r}.")
    if binary:
        raise InvalidInput(f"Binary data follow the JSON part, but {INPUT!r} lacks the parameter {_SIZE!r}.")
    texts = list(flatten(tensor.data))
    for at, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidInput(f"Element {at} of {INPUT!r} is {cut(repr(text), 80)}. It must be a string.")
    return [str(text) for text in texts]


def _binary(tensor: TensorIn, binary: bytes) -> list[str]:
    size = tensor.parameters[_SIZE]
    if size != len(binary) or tensor.data is not None:
        raise InvalidInput(
            f"{_SIZE!r} of {INPUT!r} is {cut(repr(size), 80)}, and {len(binary):,} bytes follow the JSON part. It must "
            "be the same number, without 'data'. Say where the JSON part ends with Inference-Header-Content-Length."
        )
    texts = []
    for at, element in enumerate(unpack_bytes(binary)):
        try:
            texts.append(element.decode())
        except UnicodeDecodeError as error:
            raise InvalidInput(f"Element {at} of {INPUT!r} is not UTF-8 (byte {error.start}).") from None
    return texts


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a model. ``per_label``: whether it has a number for each label: [n, k] instead of [n]."""

    name: str
    datatype: str
    values: Callable[[Sequence[Prediction]], list[Any]]
    per_label: bool = False

    def tensor(self, predictions: Sequence[Prediction]) -> Tensor:
        """Return the output for these predictions."""
        n = len(predictions)
        shape = (n, len(predictions[0].probabilities)) if self.per_label else (n,)
        return Tensor(self.name, self.datatype, shape, self.values(predictions))


_LABEL = Output("label", BYTES, lambda all_of: [one.labels[0] for one in all_of])
_LABELS = Output("labels", BYTES, lambda all_of: [json.dumps(one.labels, ensure_ascii=False) for one in all_of])
_SCORE = Output("score", FP32, lambda all_of: [one.probabilities[one.labels[0]] for one in all_of])
_PROBABILITIES = Output(
    "probabilities", FP32, lambda all_of: [value for one in all_of for value in one.probabilities.values()], True
)
_TRUNCATED = Output("truncated", BOOL, lambda all_of: [one.truncated for one in all_of])
OUTPUTS = {
    False: (_LABEL, _SCORE, _PROBABILITIES, _TRUNCATED),
    True: (_LABELS, _PROBABILITIES, _TRUNCATED),
}
"""The outputs of a model, by whether a text may have several labels.

``labels`` has a JSON list of names for each text: a text has any number of labels, and a tensor has no ragged rows.
"""


def write_answer(asked: Asked, model: str, predictions: Sequence[Prediction]) -> Answer:
    """Return the answer. ``predictions`` are of one version, and not empty. Raises InvalidInput for unknown outputs."""
    first = predictions[0]
    known = {output.name: output for output in OUTPUTS[first.multi_label]}
    wanted: Mapping[str, bool] = asked.outputs or dict.fromkeys(known, asked.all_binary)
    if unknown := wanted.keys() - known.keys():
        names = ", ".join(storable(cut(repr(name), 80)) for name in sorted(unknown)[:3])
        raise InvalidInput(f"The model {model} has no output {names}. It has {', '.join(known)}.")
    outputs: list[dict[str, Any]] = []
    binary: list[bytes] = []
    for name, as_binary in wanted.items():
        tensor = known[name].tensor(predictions)
        written: dict[str, Any] = {"name": name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        if as_binary:
            binary.append(tensor.binary())
            written["parameters"] = {_SIZE: len(binary[-1])}
        else:
            written["data"] = list(tensor.data)
        outputs.append(written)
    about: dict[str, Any] = {"revision": first.revision}
    if first.taught_by is not None:
        about["taught_by"] = first.taught_by
    if first.outdated_labels:
        about["outdated_labels"] = True
    answer: dict[str, Any] = {"model_name": model, "model_version": first.version}
    if asked.id is not None:
        answer["id"] = asked.id
    answer |= {"parameters": about, "outputs": outputs}
    header = json.dumps(answer).encode()
    return Answer(b"".join([header, *binary]), len(header) if binary else None)


def model_name(task: TaskName) -> str:
    """Return the task's name as a model: ``workspace.task``. Neither of the two names can contain a dot."""
    return f"{task.workspace}.{task.task}"


def task_name(model: str) -> TaskName:
    """Return the task that a model's name names. Raises NotFound for what is no such name."""
    workspace, _, task = model.partition(".")
    if not (_NAME.fullmatch(workspace) and _NAME.fullmatch(task)):
        raise NotFound(
            f"There is no model {storable(cut(model, 80))!r}. "
            "A model is named after its task: acme/reviews is acme.reviews."
        )
    return TaskName(workspace, task)
