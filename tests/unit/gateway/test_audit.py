"""Nobody changes anything, or takes anything out, without a line in the audit log."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.gateway.app import create_app
from services.gateway.auth import FixedKeys, KeyRing, read_keys
from services.gateway.backend import StoreBackend
from services.gateway.examples import EXAMPLES
from tests.unit.gateway.fake import ADMIN, KEYS, OPERATOR, PREDICTOR, AppTransport
from tests.unit.gateway.test_backend import FakeCluster, FakePredictor
from tornio.audit import AuditLog
from tornio.errors import Unavailable
from tornio.schemas.audit import Act, AuditEvent
from tornio.spec import TaskSpec
from tornio.storage.memory import MemoryStore
from tornio.tasks import Tasks

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TASK = "/v1/tasks/{workspace}/{task}"
MODEL = "/v2/models/{model}"
SPEC = TaskSpec.model_validate({"workspace": "acme", "name": "support", "labels": ["delivery", "billing"]})
UPLOADS = "/v1/workspaces/{workspace}/uploads"
UPLOAD = f"{UPLOADS}/{{name}}"
NAMES = {"workspace": "acme", "task": "support", "model": "acme.support", "version": "v1", "run": "score-1"}
NAMES["name"] = "ab" * 32 + ".csv"

UNSEEN = {
    ("GET", path)
    for path in ("/healthz", "/readyz", "/v1/tasks", "/v1/workspaces/{workspace}/audit", TASK, f"{TASK}/annotators",
                 f"{TASK}/versions", f"{TASK}/runs", f"{TASK}/runs/{{run}}", f"{TASK}/runs/{{run}}/rows",
                 f"{TASK}/runs/{{run}}/files/{{name}}", "/v2", "/v2/health/live",
                 "/v2/health/ready", MODEL, f"{MODEL}/ready", f"{MODEL}/versions/{{version}}",
                 f"{MODEL}/versions/{{version}}/ready")
} | {
    ("GET", UPLOADS), ("GET", UPLOAD), ("PUT", f"{UPLOAD}/parts/{{part}}"), ("POST", f"{UPLOAD}/complete"),
} | {
    ("POST", path)
    for path in (f"{TASK}/predict", f"{TASK}/predict-lines", "/v1/zero-shot", f"{MODEL}/infer",
                 f"{MODEL}/versions/{{version}}/infer", "/v2/repository/index",
                 "/hf/models/{workspace}/{task}", "/hf/zero-shot-classification", "/v1/argilla/webhook")
}  # fmt: skip
"""Requests that change nothing, and show no more than predictions or how a task stands. An upload leaves a line
when it begins, and not for each part. A result leaves one when its files are listed: without the list, nobody gets a
file. All others leave a line."""


@pytest.fixture
def store() -> MemoryStore:
    Tasks(store := MemoryStore()).apply(SPEC, "test")
    return store


def app_on(store: MemoryStore) -> FastAPI:
    backend = StoreBackend(store, FakeCluster(), FakePredictor(), clock=lambda: NOW, answers_s=0.0)
    return create_app(backend, KeyRing(FixedKeys(read_keys(KEYS, "keys"))))


def send(store: MemoryStore, method: str, path: str, body: object = None, key: str = OPERATOR) -> httpx.Response:
    with httpx.Client(transport=AppTransport(app_on(store)), base_url="http://tornio") as http:
        return http.request(method, path, json=body, headers={"Authorization": f"Bearer {key}"})


def events(store: MemoryStore, workspace: str = "acme") -> tuple[AuditEvent, ...]:
    return AuditLog(store, workspace).newest(100).events


def example(path: str) -> Any:
    given = EXAMPLES.get(path)
    return given | {"dry_run": False} if isinstance(given, dict) and "dry_run" in given else given


ROUTES = {
    (method.upper(), path)
    for path, operations in app_on(MemoryStore()).openapi()["paths"].items()
    for method in operations
}


@pytest.mark.parametrize(("method", "path"), sorted(ROUTES - UNSEEN))
def test_a_request_that_changes_something_or_takes_it_out_leaves_a_line(
    store: MemoryStore, method: str, path: str
) -> None:
    send(store, method, path.format(**NAMES), example(path), ADMIN)
    (event,) = events(store)
    assert event.act in set(Act)
    assert (event.who, event.workspace) == ("admin", "acme")
    assert event.task == ("" if path.startswith(UPLOADS) else "support")
    assert event.outcome in ("done", "refused")


def test_no_request_is_listed_as_unseen_that_is_gone() -> None:
    assert UNSEEN <= ROUTES


def test_every_act_is_that_of_a_request(store: MemoryStore) -> None:
    for method, path in sorted(ROUTES - UNSEEN):
        send(store, method, path.format(**NAMES), example(path), ADMIN)
    assert {event.act for event in events(store)} == set(Act)


def test_a_line_has_counts_and_neither_texts_nor_keys(store: MemoryStore) -> None:
    records = [{"record_id": f"secret-{n}", "text": f"secret words {n}"} for n in range(3)]
    assert send(store, "POST", TASK.format(**NAMES) + "/records", records).is_success
    assert send(store, "POST", TASK.format(**NAMES) + "/rollback", {"why": "a secret"}).status_code == 409
    rollback, added = sorted(events(store), key=lambda event: event.outcome, reverse=True)
    assert (added.detail, added.outcome) == ({"records": 3, "added": 3}, "done")
    assert (rollback.outcome, rollback.error) == ("refused", "NotServable")
    bodies = b"".join(store.get(info.key).body for info in store.list("acme/audit/"))
    assert b"secret" not in bodies
    assert OPERATOR.encode() not in bodies


def test_what_only_says_what_would_happen_leaves_no_line(store: MemoryStore) -> None:
    body = {"rename": {"delivery": "shipping"}, "dry_run": True}
    assert send(store, "POST", TASK.format(**NAMES) + "/labels/migrate", body).is_success
    assert events(store) == ()


def test_what_cannot_be_written_down_is_not_done(store: MemoryStore) -> None:
    def fail(operation: str, key: str) -> None:
        if key.endswith(".begun.json"):
            raise Unavailable("the store is away")

    store.before = fail
    assert send(store, "POST", TASK.format(**NAMES) + "/pause").status_code == 503
    assert not Tasks(store).open("acme", "support").loop_state().asks.paused


def test_what_was_done_stays_done_if_its_outcome_cannot_be_written(store: MemoryStore) -> None:
    def fail(operation: str, key: str) -> None:
        if key.endswith(".ended.json") and operation == "put_if_absent":
            raise Unavailable("the store is away")

    store.before = fail
    assert send(store, "POST", TASK.format(**NAMES) + "/pause").is_success
    assert Tasks(store).open("acme", "support").loop_state().asks.paused
    assert [event.outcome for event in events(store)] == ["begun"]


def test_a_part_that_is_away_fails_an_act(store: MemoryStore) -> None:
    cluster = FakeCluster(Unavailable("the controller restarts"))
    app = create_app(StoreBackend(store, cluster, FakePredictor()), KeyRing(FixedKeys(read_keys(KEYS, "keys"))))
    with httpx.Client(transport=AppTransport(app), base_url="http://tornio") as http:
        path = TASK.format(**NAMES) + "/runs"
        answer = http.post(path, json=EXAMPLES[f"{TASK}/runs"], headers={"Authorization": f"Bearer {OPERATOR}"})
    assert answer.status_code == 503
    assert [(event.outcome, event.error) for event in events(store)] == [("failed", "Unavailable")]


def test_the_log_is_read_page_by_page_by_those_who_operate(store: MemoryStore) -> None:
    for act in ("pause", "resume", "pause"):
        assert send(store, "POST", TASK.format(**NAMES) + f"/{act}").is_success
    path = "/v1/workspaces/acme/audit"
    first = send(store, "GET", path + "?limit=2").json()
    second = send(store, "GET", path + f"?limit=2&after={first['next']}").json()
    assert [len(first["events"]), len(second["events"]), second["next"]] == [2, 1, None]
    assert sorted(one["act"] for one in first["events"] + second["events"]) == ["pause", "pause", "resume"]
    assert send(store, "GET", path + "?task=other").json() == {"events": [], "next": None}
    assert send(store, "GET", path, key=PREDICTOR).status_code == 403
    assert send(store, "GET", "/v1/workspaces/other/audit").status_code == 403
    assert json.loads(send(store, "GET", path + "?after=acme/tasks").content)["status"] == 422
