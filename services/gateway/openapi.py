"""The description of the API at ``/openapi.json``: FastAPI's, with what it leaves out.

FastAPI names the media type of a route's answers for its problem documents too, and leaves the definitions of a schema
that is given by hand where no reference finds them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fastapi import FastAPI

from services.gateway.examples import EXAMPLES
from services.gateway.protocols.inference import InferIn
from tornio.api import PROBLEM_JSON
from tornio.spec import TaskSpec

Json = dict[str, Any]

SPEC = {"$ref": "#/components/schemas/TaskSpec"}
_BY_HAND = (TaskSpec, InferIn)
"""What routes read by hand."""
_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_OF_BODIES = {
    "408": "The body did not arrive in time.",
    "413": "The body is larger than the route takes.",
}


def complete(usual: Callable[[], Json]) -> Json:
    """Return the description with all schemas and problem documents. Doing it again changes nothing."""
    described = usual()
    schemas = described["components"]["schemas"]
    for model in _BY_HAND:
        given = model.model_json_schema(ref_template="#/components/schemas/{model}")
        for name, schema in (given.pop("$defs") | {model.__name__: given}).items():
            schemas.setdefault(name, schema)
    for path, operation in _operations(described):
        _add_example(path, operation)
        answers: Json = operation["responses"]
        if "requestBody" in operation:
            for status, description in _OF_BODIES.items():
                answers[status] = {"description": description, "content": dict(answers["4XX"]["content"])}
        for answer in answers.values():
            content: Json = answer.get("content", {})
            for kind in [kind for kind, body in content.items() if body.get("schema") == _PROBLEM]:
                content[PROBLEM_JSON] = content.pop(kind)
    return described


def install(app: FastAPI) -> None:
    """Let the app describe itself so."""
    usual = app.openapi
    app.openapi = lambda: complete(usual)  # type: ignore[method-assign]


def _operations(described: Json) -> Iterator[tuple[str, Json]]:
    for path, operations in described["paths"].items():
        for operation in operations.values():
            yield path, operation


def _add_example(path: str, operation: Json) -> None:
    """Give the request its example, if it has a body of JSON and none yet."""
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None and path in EXAMPLES:
        body.setdefault("example", EXAMPLES[path])
