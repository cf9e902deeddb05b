"""The Open Inference Protocol, version 2, over HTTP: what clients of KServe, Triton and MLServer speak.

Source: github.com/kserve/open-inference-protocol, with the extensions for binary tensors and for the model repository.
Deviations: health routes answer with JSON, as KServe's client wants it. A refused request has the status that it has
in Tornio's own API. ``docs/protocols.md`` says what load and unload do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.gateway.callers import Caller, Role
from services.gateway.dependencies import AnyCaller, TheAnswering, TheBackend, caller_with
from services.gateway.guards import open_to_all
from services.gateway.port import Backend
from services.gateway.protocols import inference
from services.gateway.protocols.errors import REFUSALS, refusal
from services.gateway.protocols.inference import INPUT, OUTPUTS, InferOut
from services.gateway.protocols.tensors import BYTES
from services.gateway.served import ServedModel
from tornio import __version__
from tornio.api import Prediction, TaskName
from tornio.errors import InvalidInput, NotServable, Unavailable
from tornio.registry import CURRENT

Ask = Callable[[Sequence[str]], Awaitable[Sequence[Prediction]]]
"""Classifies texts by a version."""

HEADER = "Inference-Header-Content-Length"
EXTENSIONS = ["binary_tensor_data", "model_repository"]

router = APIRouter(
    prefix="/v2", tags=["open inference protocol"], responses=REFUSALS, strict_content_type=False
)  # some clients name no content type
errors = refusal

_REQUEST = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/InferIn"},
                "example": {
                    "id": "1",
                    "inputs": [
                        {"name": INPUT, "datatype": BYTES, "shape": [2], "data": ["Where is my parcel?", "Thank you"]}
                    ],
                    "outputs": [{"name": "probabilities"}],
                },
            },
            "application/octet-stream": {
                "schema": {
                    "type": "string",
                    "format": "binary",
                    "description": f"JSON as long as the header {HEADER} says, then the binary data of the tensor.",
                }
            },
        },
    },
}
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "model": InferOut,
        "description": f"JSON. Data of binary outputs follow it; the header {HEADER} has the length of the JSON.",
    }
}


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class Live(_Answer):
    live: bool


class Ready(_Answer):
    ready: bool


class ModelReady(_Answer):
    name: str
    ready: bool


class ServerMetadata(_Answer):
    name: str
    version: str
    extensions: list[str]


class TensorMetadata(_Answer):
    name: str
    datatype: str
    shape: list[int] = Field(description="-1 stands for the number of texts.")
    parameters: dict[str, Any] = {}


class ModelMetadata(_Answer):
    name: str
    versions: list[str] = Field(description="The versions that can be asked for, the one that serves first.")
    platform: str = Field(description="`tornio_` and the kind of the model.")
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata] = Field(
        description="The parameter `labels` of `probabilities` has the labels in the order of its columns."
    )


class IndexIn(_Answer):
    ready: bool = Field(False, description="List only models that have a version which serves.")


class LoadIn(_Answer):
    parameters: dict[str, Any] = Field({}, description="`version`: the version to load. Default the one that serves.")


class IndexRow(_Answer):
    name: str
    version: str
    state: str = Field(description="`READY`, or `UNAVAILABLE` without a version that serves.")
    reason: str


def _name(
    model: Annotated[str, Path(description="A task as `workspace.task`.", examples=["acme.support"])],
) -> TaskName:
    return inference.task_name(model)


_Task = Annotated[TaskName, Depends(_name)]


_VERSION = Path(
    pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$", description="`current`, `previous`, or the name of any version."
)
_Version = Annotated[str, _VERSION]


_Reader = Annotated[Caller, Depends(caller_with(Role.PREDICT, _name))]
_Operator = Annotated[Caller, Depends(caller_with(Role.OPERATE, _name))]

# The server


@router.get("")
async def server(_: AnyCaller) -> ServerMetadata:
    """Name the server and the extensions of the protocol that it knows."""
    return ServerMetadata(name="tornio", version=__version__, extensions=EXTENSIONS)


@router.get("/health/live")
@open_to_all
async def live() -> Live:
    """Answer that the process runs."""
    return Live(live=True)


@router.get("/health/ready", responses={503: {"model": Ready, "description": "No prediction can be answered."}})
@open_to_all
async def ready(backend: TheBackend, response: Response) -> Ready:
    """Whether predictions can be answered."""
    readiness = await backend.ready()
    response.status_code = 200 if readiness.ready else 503
    return Ready(ready=readiness.ready)


# Models


@router.get("/models/{model}")
async def metadata(task: _Task, backend: TheBackend, _: _Reader) -> ModelMetadata:
    """Describe the model: its versions, its input, and its outputs with the labels in their order."""
    return _metadata(task, await backend.served.describe(task))


@router.get("/models/{model}/ready")
async def model_ready(task: _Task, backend: TheBackend, _: _Reader) -> ModelReady:
    """Whether the replica that answers has the model in memory. A model that is not there is loaded from now on."""
    return await _ready(task, backend)


@router.post("/models/{model}/infer", openapi_extra=_REQUEST, responses=_ANSWER)
async def infer(request: Request, task: _Task, answering: TheAnswering, caller: _Reader) -> Response:
    """Classify texts by the version that serves."""
    return await _infer(request, partial(answering.predict, caller, task), task)


@router.get("/models/{model}/versions/{version}")
async def version_metadata(version: _Version, task: _Task, backend: TheBackend, _: _Reader) -> ModelMetadata:
    """Describe a version of the model, whose labels may differ from those of the one that serves."""
    return _metadata(task, await backend.served.describe(task, _named(version)))


@router.get("/models/{model}/versions/{version}/ready")
async def version_ready(version: _Version, task: _Task, backend: TheBackend, _: _Reader) -> ModelReady:
    """Whether the replica that answers has the version in memory. A version that is not there is loaded."""
    return await _ready(task, backend, _named(version))


@router.post("/models/{model}/versions/{version}/infer", openapi_extra=_REQUEST, responses=_ANSWER)
async def version_infer(
    version: _Version, request: Request, task: _Task, answering: TheAnswering, caller: _Reader
) -> Response:
    """Classify texts by a version, which is loaded if need be."""
    ask = partial(answering.predict, caller, task, version=_named(version))
    return await _infer(request, ask, task)


def _named(version: str) -> str | None:
    return None if version == CURRENT else version


def _metadata(task: TaskName, model: ServedModel) -> ModelMetadata:
    k = len(model.labels)
    return ModelMetadata(
        name=inference.model_name(task),
        versions=list(model.versions),
        platform=f"tornio_{model.kind}",
        inputs=[TensorMetadata(name=INPUT, datatype=BYTES, shape=[-1])],
        outputs=[
            TensorMetadata(
                name=output.name,
                datatype=output.datatype,
                shape=[-1, k] if output.per_label else [-1],
                parameters={"labels": list(model.labels)} if output.per_label else {},
            )
            for output in OUTPUTS[model.multi_label]
        ],
    )


async def _ready(task: TaskName, backend: Backend, version: str | None = None) -> ModelReady:
    try:
        await backend.served.check(task, version)
    except NotServable as error:  # the protocol has one answer for all that is not ready
        raise Unavailable(str(error)) from error
    return ModelReady(name=inference.model_name(task), ready=True)


async def _infer(request: Request, ask: Ask, task: TaskName) -> Response:
    asked = inference.read_request(await request.body(), request.headers.get(HEADER))
    predictions = await ask(asked.texts)
    answer = inference.write_answer(asked, inference.model_name(task), predictions)
    if answer.header_length is None:
        return Response(answer.body, media_type="application/json")
    return Response(answer.body, media_type="application/octet-stream", headers={HEADER: str(answer.header_length)})


# The repository


@router.post("/repository/index")
async def index(
    backend: TheBackend, caller: AnyCaller, body: Annotated[IndexIn | None, Body(examples=[{"ready": True}])] = None
) -> list[IndexRow]:
    """List the models that the key has access to."""
    rows = [
        IndexRow(
            name=inference.model_name(TaskName(task.workspace, task.task)),
            version=task.version or "",
            state="READY" if task.version else "UNAVAILABLE",
            reason="" if task.version else task.why,
        )
        for task in await backend.tasks(caller.sees)
    ]
    return [row for row in rows if row.version or body is None or not body.ready]


@router.post("/repository/models/{model}/load")
async def load(
    task: _Task,
    backend: TheBackend,
    caller: _Operator,
    body: Annotated[LoadIn | None, Body(examples=[{"parameters": {"version": "previous"}}])] = None,
) -> ModelReady:
    """Load a version into the replica that answers, and wait for it. What serves does not change."""
    parameters = dict(body.parameters) if body else {}
    version = parameters.pop("version", CURRENT)
    if parameters or not isinstance(version, str):
        raise InvalidInput(
            "The only parameter of load is 'version', a string. What a model consists of comes from its training: a "
            "request cannot change its configuration or its files."
        )
    await backend.served.load(task, caller.name, _named(version))
    return ModelReady(name=inference.model_name(task), ready=True)


@router.post("/repository/models/{model}/unload")
async def unload(task: _Task, backend: TheBackend, caller: _Operator) -> Response:
    """Drop from the replica that answers the versions that were loaded by name. `current` and `previous` stay."""
    await backend.served.unload(task, caller.name)
    return Response(b"{}", media_type="application/json")
