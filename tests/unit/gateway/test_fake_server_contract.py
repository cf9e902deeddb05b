"""The fake server for users' tests against the app itself: the same routes, messages, statuses and behaviour."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from services.gateway.app import PROTOCOLS
from services.gateway.problems import status_of
from tests.unit.gateway.fake import KEYS, OPERATOR, AppTransport, FakeBackend, app_of
from tornio import Client, errors
from tornio.api import LabelIn, RecordIn
from tornio.testing import FakeServer
from tornio.testing.problems import status_of as status_of_fake
from tornio.testing.routes import ROUTES

pytestmark = pytest.mark.unit

TASK = "acme/reviews"
SPEC: dict[str, Any] = {"workspace": "acme", "name": "reviews", "labels": ["praise", "complaint"]}


@dataclass
class Server:
    """A server with a client, and the way to let a version serve."""

    client: Client
    transport: httpx.BaseTransport
    serve: Callable[[str, str | None], object]


def fake() -> Server:
    server = FakeServer(api_key=OPERATOR)

    def serve(version: str, _: str | None) -> None:
        server.serve(TASK, version)
        server.answer(TASK, otherwise="praise")

    return Server(Client(server.url, OPERATOR, transport=server.transport), server.transport, serve)


def real() -> Server:
    backend = FakeBackend()
    transport = AppTransport(app_of(backend, KEYS))
    revisions = iter(range(1, 9))

    def serve(version: str, previous: str | None) -> None:
        backend.serve(TASK, version, next(revisions), previous)

    return Server(Client("http://tornio", OPERATOR, transport=transport), transport, serve)


@pytest.fixture(params=[fake, real])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    server: Server = request.param()
    server.client.apply(SPEC)
    with server.client:
        yield server


def test_a_spec_is_applied(server: Server) -> None:
    client = server.client
    assert client.apply(SPEC | {"name": "other"}).created
    again = client.apply(SPEC)
    assert (again.created, again.spec_rev, again.changes) == (False, 1, [])
    changed = client.apply(SPEC | {"guidelines": "Choose."})
    assert (changed.created, changed.spec_rev, len(changed.changes)) == (False, 2, 1)
    with pytest.raises(errors.ChangeRefused):
        client.apply(SPEC | {"multi_label": True})
    assert {task.task for task in client.tasks()} == {"reviews", "other"}


def test_what_goes_in_comes_out(server: Server) -> None:
    added = server.client.add_records(TASK, [RecordIn(record_id="1", text="a"), RecordIn(text="b")])
    assert (added.added, added.known) == (2, 0)
    assert server.client.add_records(TASK, [RecordIn(record_id="1", text="a")]).known == 1
    labels = [LabelIn(record_id=str(n), text=f"text {n}", labels=["praise"]) for n in range(3)]
    assert server.client.import_labels(TASK, labels).imported == 3
    assert [(one.record_id, one.text, one.labels) for one in server.client.labels(TASK)] == [
        (str(n), f"text {n}", ["praise"]) for n in range(3)
    ]
    with pytest.raises(errors.InvalidInput):
        server.client.import_labels(TASK, [LabelIn(text="a", labels=["angry"])])


def test_predictions(server: Server) -> None:
    with pytest.raises(errors.NotServable, match="no version yet"):
        server.client.predict(TASK, ["a"])
    server.serve("v1", None)
    first, second = server.client.predict(TASK, ["a", "b"])
    assert (first.labels, first.version, first.revision, first.multi_label) == (("praise",), "v1", 1, False)
    assert list(second.probabilities) == ["praise", "complaint"]
    assert sum(second.probabilities.values()) == pytest.approx(1)


def test_status_and_control(server: Server) -> None:
    client = server.client
    assert client.pause(TASK).asks.paused
    status = client.status(TASK)
    assert (status.phase, status.asks.paused, status.serving) == ("paused", True, None)
    assert (status.labels, status.spec_rev, status.generation) == (["praise", "complaint"], 1, 1)
    assert not client.resume(TASK).asks.paused
    assert client.train_now(TASK).asks.train_now
    with pytest.raises(errors.NotFound):
        client.rollback(TASK)
    server.serve("v1", None)
    server.serve("v2", "v1")
    back = client.rollback(TASK)
    assert (back.version, back.previous, back.revision) == ("v1", "v2", 3)
    assert client.versions(TASK) == []
    assert client.ready().ready


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/tasks/acme/reviews/predict", {"texts": []}, 422),
        ("POST", "/v1/tasks/acme/reviews/predict", {"texts": ["a"], "text": "a"}, 422),
        ("POST", "/v1/tasks/acme/reviews/predict", {"texts": [" "]}, 422),
        ("POST", "/v1/tasks/acme/reviews/records", [], 422),
        ("POST", "/v1/tasks/acme/reviews/labels", {"labels": [], "purpose": "fun"}, 422),
        ("PUT", "/v1/tasks/acme/reviews", {"workspace": "acme", "name": "reviews"}, 422),
        ("PUT", "/v1/tasks/acme/other", SPEC, 422),
        ("GET", "/v1/tasks/acme/missing", None, 404),
    ],
)
def test_what_is_wrong_is_refused_with_the_same_status(
    server: Server, method: str, path: str, body: Any, status: int
) -> None:
    with httpx.Client(transport=server.transport, base_url="http://tornio") as raw:
        response = raw.request(method, path, json=body, headers={"Authorization": f"Bearer {OPERATOR}"})
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert raw.get("/v1/tasks", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert raw.get("/readyz").status_code == 200


def test_the_routes_are_real_ones_with_the_same_answers() -> None:
    real = {
        (method, route.path): route
        for protocol in PROTOCOLS
        for route in protocol.router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    for route in ROUTES:
        assert real[route.method, route.path].response_model is route.gives, route.path


KINDS = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.TornioError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_the_same_status(kind: type[errors.TornioError]) -> None:
    assert status_of_fake(kind) == status_of(kind("x"))
