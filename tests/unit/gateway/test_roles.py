"""What each route asks for. A new route fails here until its role is chosen and written down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from services.gateway.app import PROTOCOLS
from services.gateway.callers import Role
from services.gateway.dependencies import role_of
from services.gateway.guards import is_marked_open
from tests.unit.gateway.fake import ADMIN, ANNOTATOR, OPERATOR, AppTransport, FakeBackend, FakeTask, app_of
from tornio.api import TaskName
from tornio.spec import TaskSpec

pytestmark = pytest.mark.unit

OPEN = "open to all"
TASK, MODEL = "/v1/tasks/{workspace}/{task}", "/v2/models/{model}"
PAGE = "/tasks/{workspace}/{task}"
UPLOADS = "/v1/workspaces/{workspace}/uploads"
ROLES = {
    "GET /healthz": OPEN,
    "GET /readyz": OPEN,
    "GET /v2/health/live": OPEN,
    "GET /v2/health/ready": OPEN,
    "GET /v1/tasks": Role.PREDICT,
    "GET " + TASK: Role.PREDICT,
    "PUT " + TASK: Role.OPERATE,
    f"POST {TASK}/predict": Role.PREDICT,
    f"POST {TASK}/predict-lines": Role.PREDICT,
    "POST /v1/zero-shot": Role.PREDICT,
    f"POST {TASK}/records": Role.ANNOTATE,
    f"POST {TASK}/records/delete": Role.ADMIN,
    f"POST {TASK}/labels": Role.ANNOTATE,
    f"GET {TASK}/labels": Role.OPERATE,
    f"POST {TASK}/labels/migrate": Role.OPERATE,
    f"GET {TASK}/annotators": Role.ANNOTATE,
    f"GET {TASK}/versions": Role.OPERATE,
    f"GET {TASK}/model": Role.OPERATE,
    f"GET {TASK}/report": Role.OPERATE,
    f"POST {TASK}/model": Role.OPERATE,
    f"POST {TASK}/rollback": Role.OPERATE,
    f"POST {TASK}/versions/{{version}}/promote": Role.OPERATE,
    f"POST {TASK}/pause": Role.OPERATE,
    f"POST {TASK}/resume": Role.OPERATE,
    f"POST {TASK}/train-now": Role.OPERATE,
    f"POST {TASK}/runs": Role.OPERATE,
    f"GET {TASK}/runs": Role.PREDICT,
    f"GET {TASK}/runs/{{run}}": Role.PREDICT,
    f"POST {TASK}/runs/{{run}}/cancel": Role.OPERATE,
    f"GET {TASK}/runs/{{run}}/rows": Role.OPERATE,
    f"GET {TASK}/runs/{{run}}/files": Role.OPERATE,
    f"GET {TASK}/runs/{{run}}/files/{{name}}": Role.OPERATE,
    "GET /v1/workspaces/{workspace}/audit": Role.OPERATE,
    f"GET {UPLOADS}": Role.OPERATE,
    f"PUT {UPLOADS}/{{name}}": Role.OPERATE,
    f"GET {UPLOADS}/{{name}}": Role.OPERATE,
    f"PUT {UPLOADS}/{{name}}/parts/{{part}}": Role.OPERATE,
    f"POST {UPLOADS}/{{name}}/complete": Role.OPERATE,
    f"DELETE {UPLOADS}/{{name}}": Role.OPERATE,
    "POST /v1/argilla/webhook": OPEN,
    "GET /v2": Role.PREDICT,
    f"GET {MODEL}": Role.PREDICT,
    f"GET {MODEL}/ready": Role.PREDICT,
    f"POST {MODEL}/infer": Role.PREDICT,
    f"GET {MODEL}/versions/{{version}}": Role.PREDICT,
    f"GET {MODEL}/versions/{{version}}/ready": Role.PREDICT,
    f"POST {MODEL}/versions/{{version}}/infer": Role.PREDICT,
    "POST /v2/repository/index": Role.PREDICT,
    "POST /v2/repository/models/{model}/load": Role.OPERATE,
    "POST /v2/repository/models/{model}/unload": Role.OPERATE,
    "POST /hf/models/{workspace}/{task}": Role.PREDICT,
    "POST /hf/zero-shot-classification": Role.PREDICT,
    "GET /static/{name}": OPEN,
    "GET /favicon.ico": OPEN,
    "GET /login": OPEN,
    "POST /login": OPEN,
    "POST /logout": Role.PREDICT,
    "GET /": Role.PREDICT,
    f"GET {PAGE}": Role.PREDICT,
    f"GET {PAGE}/events": Role.PREDICT,
    f"POST {PAGE}/pause": Role.OPERATE,
    f"POST {PAGE}/resume": Role.OPERATE,
    f"POST {PAGE}/train-now": Role.OPERATE,
    f"GET {PAGE}/rollback": Role.OPERATE,
    f"POST {PAGE}/rollback": Role.OPERATE,
    f"GET {PAGE}/promote": Role.OPERATE,
    f"POST {PAGE}/promote": Role.OPERATE,
    f"GET {PAGE}/try": Role.PREDICT,
    f"POST {PAGE}/try": Role.PREDICT,
}
SPEC = TaskSpec.model_validate({"workspace": "acme", "name": "support", "labels": ["a", "b"]})


def dependencies(dependant: Dependant) -> Iterator[Any]:
    for one in dependant.dependencies:
        yield one.call
        yield from dependencies(one)


def asked_for(route: APIRoute) -> Role | str:
    roles = {role for call in dependencies(route.dependant) if (role := role_of(call)) is not None}
    open_to_all = {OPEN} if is_marked_open(route.endpoint) else set[str]()
    (only,) = roles | open_to_all
    return only


def test_every_route_asks_for_the_role_that_is_written_here() -> None:
    routes = [route for protocol in PROTOCOLS for route in protocol.router.routes]
    assert all(isinstance(route, APIRoute) for route in routes)
    found = {
        f"{method} {route.path}": asked_for(route)
        for route in routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    assert found == ROLES


def http(key: str, keys: str | None = None) -> httpx.Client:
    backend = FakeBackend({TaskName("acme", name): FakeTask(SPEC) for name in ("support", "reviews")})
    backend.serve("acme/support")
    backend.serve("acme/reviews")
    app = app_of(backend) if keys is None else app_of(backend, keys)
    return httpx.Client(
        transport=AppTransport(app), base_url="http://tornio", headers={"Authorization": f"Bearer {key}"}
    )


@pytest.mark.parametrize(
    ("path", "body", "role"),
    [
        ("records", {"records": [{"text": "hello"}]}, ANNOTATOR),
        ("labels", {"labels": [{"text": "hello", "labels": ["a"]}], "purpose": "train"}, ANNOTATOR),
        ("pause", None, OPERATOR),
        ("records/delete", {"record_ids": ["x"]}, ADMIN),
        ("runs", {"job": "purge"}, ADMIN),
    ],
)
def test_the_least_role_of_a_request(path: str, body: Any, role: str) -> None:
    order = [ANNOTATOR, OPERATOR, ADMIN]
    answers = [http(key).post(f"/v1/tasks/acme/support/{path}", json=body).status_code for key in order]
    assert [status != 403 for status in answers] == [order.index(key) >= order.index(role) for key in order]


def test_a_key_for_one_task_finds_no_other_in_any_protocol() -> None:
    secret = "a-key-of-one-task"
    keys = f'[{{"name": "one", "key": "{secret}", "workspaces": ["*"], "tasks": ["acme/reviews"], "role": "admin"}}]'
    with http(secret, keys) as one:
        assert [task["task"] for task in one.get("/v1/tasks").json()["tasks"]] == ["reviews"]
        assert [model["name"] for model in one.post("/v2/repository/index").json()] == ["acme.reviews"]
        texts = {"texts": ["hello"]}
        assert one.post("/v1/tasks/acme/reviews/predict", json=texts).status_code == 200
        assert one.get("/v1/workspaces/acme/audit", params={"task": "reviews"}).status_code == 200
        closed = [
            one.post("/v1/tasks/acme/support/predict", json=texts),
            one.post("/v1/tasks/acme/support/predict-lines", content='"hello"'),
            one.post("/hf/models/acme/support", json={"inputs": "hello"}),
            one.get("/v2/models/acme.support"),
            one.get("/v1/tasks/acme/support/runs"),
            one.get("/v1/tasks/acme/support"),
            one.get("/v1/workspaces/acme/audit"),
            one.get("/v1/workspaces/acme/audit", params={"task": "support"}),
        ]
        assert [answer.status_code for answer in closed] == [403] * len(closed)
