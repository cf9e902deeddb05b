"""A second protocol beside Tornio's own: errors below its prefix come in its own format, all others do not."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse

from services.gateway.app import WireProtocol
from services.gateway.dependencies import TheBackend
from services.gateway.problems import Failure
from tests.unit.gateway.fake import KEYS, OPERATOR, AppTransport, FakeBackend, app_of
from tornio import errors
from tornio.api import Problem, TaskName

pytestmark = pytest.mark.unit

router = APIRouter(prefix="/x2")


@router.post("/models/{name}/infer")
async def infer(name: str, body: dict[str, int], backend: TheBackend) -> str:
    if name == "bug":
        raise RuntimeError("password=hunter2")
    await backend.status(TaskName("acme", name))
    return str(body)


def plain_error(failure: Failure) -> JSONResponse:
    """As the Open Inference Protocol words errors."""
    return JSONResponse({"error": failure.detail}, failure.status)


SECOND = WireProtocol(router, plain_error)


def http(key: str | None = OPERATOR, insecure: bool = False, backend: FakeBackend | None = None) -> httpx.Client:
    keys = "[]" if insecure else KEYS
    app = app_of(backend or FakeBackend(), keys, insecure, [SECOND])
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx.Client(transport=AppTransport(app), base_url="http://tornio", headers=headers)


def error(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert list(response.json()) == ["error"]
    return str(response.json()["error"])


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("POST", "/x2/models/missing/infer", {"a": 1}, 404, "acme/missing"),
        ("POST", "/x2/models/missing/infer", {"a": "x"}, 422, "body.a"),
        ("POST", "/x2/models/bug/infer", {"a": 1}, 500, "log has the details"),
        ("GET", "/x2/models/missing/infer", None, 405, "knows no GET"),
        ("GET", "/x2/nowhere", None, 404, "/x2/nowhere"),
        ("GET", "/x2", None, 404, "/x2"),
    ],
)
def test_errors_below_the_prefix_have_its_format(method: str, path: str, body: Any, status: int, says: str) -> None:
    found = error(http().request(method, path, json=body), status)
    assert says in found
    assert "hunter2" not in found


def test_so_do_refusals_before_routing() -> None:
    refused = http(key=None).get("/x2/nowhere")
    assert "no API key" in error(refused, 401)
    assert refused.headers["www-authenticate"] == "Bearer"
    elsewhere = {"Host": "evil.example"}
    assert "no API keys" in error(http(insecure=True).get("/x2/nowhere", headers=elsewhere), 403)


@pytest.mark.parametrize("say_length", [True, False])
def test_so_does_a_body_that_is_too_large(say_length: bool) -> None:
    body = json.dumps({"a": "x" * (33 << 20)}).encode()
    content = body if say_length else iter([body[: 20 << 20], body[20 << 20 :]])
    response = http().post("/x2/models/m/infer", content=content, headers={"Content-Type": "application/json"})
    assert "8 MiB" in error(response, 413)


def test_try_again_says_when_in_any_format() -> None:
    backend = FakeBackend(fails=errors.Unavailable("busy"))
    response = http(backend=backend).post("/x2/models/m/infer", json={"a": 1})
    assert error(response, 503) == "busy"
    assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize("path", ["/v1/tasks/acme/missing", "/nowhere", "/x2x", "/x22/models", "//x2/models"])
def test_all_other_paths_keep_problem_documents(path: str) -> None:
    for client in (http(), http(key=None)):
        response = client.get(f"http://tornio{path}")
        assert response.headers["content-type"] == "application/problem+json"
        assert Problem.model_validate_json(response.content).status == response.status_code


def test_the_longest_prefix_counts() -> None:
    def teapot(failure: Failure) -> JSONResponse:
        return JSONResponse({"teapot": failure.detail}, failure.status)

    app = app_of(FakeBackend(), also=[SECOND, WireProtocol(APIRouter(prefix="/x2/tea"), teapot)])
    with httpx.Client(transport=AppTransport(app), base_url="http://tornio") as client:
        assert list(client.get("/x2/tea/cup").json()) == ["teapot"]
        assert list(client.get("/x2/coffee").json()) == ["error"]


def test_the_format_follows_the_path_below_the_prefix_that_the_app_is_served_at() -> None:
    app = app_of(FakeBackend(), also=[SECOND])
    app.root_path = "/tornio"
    app.mount("/x2/more", FastAPI())
    with httpx.Client(transport=AppTransport(app), base_url="http://tornio") as client:
        assert error(client.get("/tornio/x2/nowhere"), 401)
        assert error(client.get("/tornio/x2/more/x"), 401)
        assert client.get("/tornio/v1/nowhere").headers["content-type"] == "application/problem+json"


def test_a_format_needs_a_prefix() -> None:
    with pytest.raises(ValueError, match="prefix"):
        WireProtocol(APIRouter(), plain_error)
