"""The description of the API: every reference resolves, and errors are described as they are sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.unit.gateway.fake import OPERATOR, AppTransport, FakeBackend, app_of

pytestmark = pytest.mark.unit

PROBES = {"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"}


@pytest.fixture
def described() -> Any:
    return get("/openapi.json").json()


def get(path: str, method: str = "GET") -> httpx.Response:
    headers = {"Authorization": f"Bearer {OPERATOR}"}
    with httpx.Client(
        transport=AppTransport(app_of(FakeBackend())), base_url="http://tornio", headers=headers
    ) as tornio:
        return tornio.request(method, path)


def values(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every key of the description with its value, at any depth."""
    inner = schema.items() if isinstance(schema, dict) else enumerate(schema) if isinstance(schema, list) else ()
    for key, value in inner:
        yield str(key), value
        yield from values(value)


def test_every_reference_leads_somewhere(described: Any) -> None:
    schemas = described["components"]["schemas"]
    references = {value for key, value in values(described) if key == "$ref" and isinstance(value, str)}
    assert "#/components/schemas/TaskSpec" in references
    assert {re.sub("^#/components/schemas/", "", reference) for reference in references} <= schemas.keys()


def test_every_error_is_described_as_it_is_sent(described: Any) -> None:
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    refusal = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            answers = operation["responses"]
            of_all = {"4XX", "429", "500", "503"} if path not in PROBES else set()
            of_bodies = {"408", "413"} if "requestBody" in operation else set()
            assert of_all | of_bodies <= answers.keys(), (method, path)
            errors = {status: answer for status, answer in answers.items() if status[0] in "45" and path not in PROBES}
            form = problem if path.startswith("/v1") else refusal
            assert all(answer["content"] == form for answer in errors.values()), (method, path)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/tasks/acme/support", "GET, HEAD, PUT"),
        ("/v1/tasks/acme/support/labels", "GET, HEAD, POST"),
        ("/v1/tasks/acme/support/predict", "POST"),
        ("/healthz", "GET, HEAD"),
    ],
)
def test_a_method_that_is_not_known_is_answered_with_those_that_are(path: str, allowed: str) -> None:
    refused = get(path, "DELETE")
    assert (refused.status_code, refused.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v1/tasks", "/v1/tasks/acme/none", "/docs", "/openapi.json"])
def test_head_answers_as_get_does_without_the_body(path: str) -> None:
    head, full = get(path, "HEAD"), get(path)
    assert (head.status_code, head.headers["content-type"]) == (full.status_code, full.headers["content-type"])
    assert (head.content, full.content == b"") == (b"", False)
