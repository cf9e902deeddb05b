"""Closed by default: which requests are served without a key, by whatever path, method or protocol they come."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route
from starlette.types import Message, Scope

from services.gateway.auth import FixedKeys, KeyRing, read_keys
from services.gateway.callers import ANYBODY
from services.gateway.guards import open_to_all
from tests.unit.gateway.fake import KEYS, OPERATOR, AppTransport, FakeBackend, app_of
from tornio.errors import Forbidden, Unauthorized

pytestmark = pytest.mark.unit

OPEN = {"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"}
OPEN |= {"/docs", "/docs/oauth2-redirect", "/openapi.json", "/static-offline-docs/favicon.png"}
SIGNED = {"/v1/argilla/webhook"}
"""Open paths that ask for a signature instead of a key: without a secret, this one answers 404 (see test_webhooks)."""
BEARER = {"Authorization": f"Bearer {OPERATOR}"}


def get(app: FastAPI, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> httpx.Response:
    with httpx.Client(transport=AppTransport(app), base_url="http://tornio", headers=headers) as tornio:
        return tornio.request(method, path)


def answers(app: FastAPI, **fields: Any) -> list[Message]:
    """What the app sends for a scope that no client library would make."""
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "query_string": b"",
        "headers": [(b"host", b"tornio")],
        "server": ("tornio", 80),
        "client": ("127.0.0.1", 1),
        **fields,
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect" if scope["type"] == "websocket" else "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def with_route_of_every_kind(app: FastAPI) -> None:
    """Add routes as somebody does who has not read anything about keys."""
    router = APIRouter(prefix="/included")

    @app.get("/direct")
    @router.get("/route")
    async def anything() -> str:
        return "secret"

    @app.websocket("/socket")
    async def socket(connection: WebSocket) -> None:
        await connection.accept()
        await connection.send_text("secret")
        await connection.close()

    async def page(_: object) -> PlainTextResponse:
        return PlainTextResponse("secret")

    outer = APIRouter(prefix="/outer")
    outer.include_router(router)
    app.include_router(router)
    app.include_router(outer)
    app.add_route("/starlette", page)
    app.mount("/mounted", Starlette(routes=[Route("/page", page)]))
    app.router.routes.append(Host("apart.example", Starlette(routes=[Route("/page", page)])))


NEW = ("/direct", "/included/route", "/outer/included/route", "/starlette", "/mounted/page")


@pytest.mark.parametrize("path", NEW)
def test_a_new_route_is_closed(path: str) -> None:
    app = app_of(FakeBackend())
    with_route_of_every_kind(app)
    assert get(app, path).status_code == 401
    assert get(app, path, {"Authorization": "Bearer a-key-nobody-has"}).status_code == 401
    answer = get(app, path, BEARER)
    assert (answer.status_code, "secret" in answer.text) == (200, True)


def test_a_host_of_its_own_is_closed() -> None:
    app = app_of(FakeBackend())
    with_route_of_every_kind(app)
    assert get(app, "/page", {"Host": "apart.example"}).status_code == 401
    assert get(app, "/page", {"Host": "apart.example", **BEARER}).text == "secret"


@pytest.mark.parametrize("extensions", [{}, {"websocket.http.response": {}}])
def test_a_new_websocket_is_closed(extensions: dict[str, Any]) -> None:
    app = app_of(FakeBackend())
    with_route_of_every_kind(app)
    fields = {"type": "websocket", "path": "/socket", "subprotocols": [], "extensions": extensions}
    refused = answers(app, **fields)
    assert not [message for message in refused if message["type"] in ("websocket.accept", "websocket.send")]
    if extensions:
        assert refused[0]["status"] == 401
    else:
        assert refused == [{"type": "websocket.close", "code": 1008, "reason": "Unauthorized"}]
    key = (b"authorization", f"Bearer {OPERATOR}".encode())
    served = answers(app, **fields, headers=[(b"host", b"tornio"), key])
    assert [message.get("text") for message in served if message["type"] == "websocket.send"] == ["secret"]


def test_an_unknown_kind_of_request_reaches_no_route() -> None:
    app = app_of(FakeBackend())
    assert answers(app, type="datagram", path="/healthz/x")[0]["type"] == "websocket.close"


def test_a_route_is_open_only_if_it_says_so() -> None:
    app = app_of(FakeBackend())

    @app.get("/declared/{name}")
    @open_to_all
    async def declared(name: str) -> str:
        return name

    @app.post("/declared/{name}")
    async def closed(name: str) -> str:
        return name

    @app.get("/{anything}/closed")
    async def also_closed(anything: str) -> str:
        return anything

    assert get(app, "/declared/x").text == '"x"'
    assert get(app, "/declared/x", method="POST").status_code == 401
    assert get(app, "/other/closed").status_code == 401
    assert get(app, "/declared/x/y").status_code == 401


def test_a_closed_route_that_is_declared_first_wins() -> None:
    """The guard asks the router's own question, and not whether some open route would match too."""
    app = app_of(FakeBackend())

    @app.get("/both/{name}")
    async def closed(name: str) -> str:
        return name

    @app.get("/both/open")
    @open_to_all
    async def opened() -> str:
        return "open"

    assert get(app, "/both/open").status_code == 401


def test_an_open_mount_opens_what_is_below_it_and_nothing_else() -> None:
    app = app_of(FakeBackend())

    async def page(_: object) -> PlainTextResponse:
        return PlainTextResponse("page")

    app.router.routes.append(Mount("/pages", open_to_all(Starlette(routes=[Route("/one", page)]))))
    assert get(app, "/pages/one").text == "page"
    assert get(app, "/pages/..%2Fv1/tasks").status_code == 404
    assert get(app, "/pages").status_code == 401


@pytest.mark.parametrize("path", sorted(OPEN))
def test_what_is_open(path: str) -> None:
    assert get(app_of(FakeBackend()), path).status_code == 200


def test_every_other_path_of_the_schema_is_closed() -> None:
    app = app_of(FakeBackend())
    paths = app.openapi()["paths"]
    assert len(paths) > 10
    for path, methods in paths.items():
        for method in methods:
            filled = re.sub("{.*?}", "x", path)
            assert (get(app, filled, method=method).status_code == 401) is (path not in OPEN | SIGNED)


def test_an_unknown_path_does_not_say_whether_it_exists() -> None:
    app = app_of(FakeBackend())
    assert get(app, "/nowhere").status_code == 401
    assert get(app, "/nowhere", BEARER).status_code == 404
    assert get(app, "/healthz", method="POST").status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "//healthz",
        "/healthz/",
        "/healthz//",
        "/HEALTHZ",
        "/healthz/../v1/tasks",
        "/healthz/v1/tasks",
        "/healthz;/v1/tasks",
        "/v1/tasks\n",
        "/healthz\x00",
        "/./healthz",
        "//v1/tasks",
        "/V1/tasks",
        "/v1/tasks/",
        "/v1//tasks",
        "/docs/../v1/tasks",
        "/docs/v1/tasks",
        "/openapi.json/v1/tasks",
        "/static-offline-docs",
        "/static-offline-docs/../../v1/tasks",
        "/static-offline-docsx/v1/tasks",
    ],
)
def test_no_spelling_of_a_path_opens_anything(path: str) -> None:
    """Paths as they are after percent-decoding: servers decode, and the router takes what they give it."""
    status = answers(app_of(FakeBackend()), path=path, raw_path=path.encode())[0]["status"]
    assert status in (401, 404), status
    assert status == 401 or path.startswith("/static-offline-docs/")


@pytest.mark.parametrize(
    "path", ["/%68ealthz/%2e%2e/v1/tasks", "/%2Fhealthz", "/healthz%2F", "/v1%2Ftasks", "/%56%31/tasks"]
)
def test_no_percent_encoding_opens_anything(path: str) -> None:
    assert get(app_of(FakeBackend()), path).status_code == 401


@pytest.mark.parametrize(
    ("root_path", "path", "status"),
    [
        ("/tornio", "/tornio/healthz", 200),
        ("/tornio", "/tornio/v1/tasks", 401),
        ("/healthz", "/healthz/v1/tasks", 401),
        ("/v1/tasks", "/v1/tasks/healthz", 200),
        ("/v1", "/v1/tasks", 401),
        ("/healthz", "/v1/tasks", 401),
        ("/", "/v1/tasks", 401),
    ],
)
def test_a_prefix_that_the_app_is_served_at_opens_nothing(root_path: str, path: str, status: int) -> None:
    """Only the part below the prefix decides, as it does for the router."""
    assert answers(app_of(FakeBackend()), path=path, root_path=root_path)[0]["status"] == status


def test_an_open_path_needs_no_good_key() -> None:
    assert get(app_of(FakeBackend()), "/healthz", {"Authorization": "Bearer wrong"}).status_code == 200


# Without keys, on one's own machine


@pytest.mark.parametrize("path", [*NEW, "/v1/tasks", "/nowhere"])
@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Host": "127.0.0.1", "Origin": "https://evil.example"}])
def test_without_keys_every_closed_route_is_closed_to_pages_of_others(path: str, headers: dict[str, str]) -> None:
    app = app_of(FakeBackend(), keys="[]", insecure=True)
    with_route_of_every_kind(app)
    assert get(app, path, headers).status_code == 403
    assert get(app, path, {"Host": "127.0.0.1"}).status_code in (200, 404)
    assert get(app, "/healthz", headers).status_code == 200


# Other protocols


def test_a_protocol_without_http_asks_for_the_caller() -> None:
    ring = KeyRing(FixedKeys(read_keys(KEYS, "keys")))
    metadata = {"authorization": f"Bearer {OPERATOR}"}
    assert ring.admit(metadata.get("authorization"), "anything").name == "operator"
    with pytest.raises(Unauthorized):
        ring.admit(None, "127.0.0.1")
    keyless = KeyRing(FixedKeys(), insecure=True)
    assert keyless.admit(None, "127.0.0.1:9000") is ANYBODY
    for host, origin in (("evil.example", None), ("", None), ("127.0.0.1", "https://evil.example")):
        with pytest.raises(Forbidden):
            keyless.admit(None, host, origin)
