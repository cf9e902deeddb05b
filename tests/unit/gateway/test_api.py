"""The HTTP API with a backend in memory: what routes answer, and how they refuse."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.unit.gateway.fake import (
    KEYS,
    OPERATOR,
    PREDICTOR,
    AppTransport,
    FakeBackend,
    FakeRuns,
    FakeTask,
    app_of,
)
from tornio import api, errors
from tornio.api import LabelRequest, PredictRequest, RunOut, RunRequest, ScoreRequest, TaskName
from tornio.loop.first import no_version
from tornio.spec import TaskSpec

pytestmark = pytest.mark.unit

SPEC = {"workspace": "acme", "name": "support", "labels": ["billing", "bug"]}
TASK = "/v1/tasks/acme/support"


@pytest.fixture
def backend() -> FakeBackend:
    spec = TaskSpec.model_validate(SPEC)
    held = {TaskName("acme", "support"): FakeTask(spec), TaskName("other", "secret"): FakeTask(spec)}
    run = RunOut(run="score-1", job="score", state="running", attempt=1)
    return FakeBackend(held, runs=FakeRuns({"acme/support": [run]}))


def http(backend: FakeBackend, key: str | None = OPERATOR, keys: str = KEYS) -> httpx.Client:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx.Client(transport=AppTransport(app_of(backend, keys)), base_url="http://tornio", headers=headers)


def problem(response: httpx.Response, status: int) -> api.Problem:
    """The problem document of a response that must be one."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found = api.Problem.model_validate_json(response.content)
    assert found.status == status
    assert found.detail
    return found


@pytest.mark.parametrize("key", [OPERATOR, PREDICTOR, None])
@pytest.mark.parametrize("task", ["acme/support", "acme/none", "other/secret", "Acme/support", "acme/a%20b"])
@pytest.mark.parametrize(
    "body",
    [
        b'{"texts": ["a", "b"]}',
        '{"texts": ["grün", "\\ud83d\\ude00"]}'.encode(),
        b'{"texts": []}',
        b'{"texts": [1]}',
        b'{"texts": ["a"], "more": 1}',
        b'["a"]',
        b"{",
        b"",
        b'{"texts": ["\\ud800"]}',
        b'{"texts": ["\xff"]}',
    ],
)
def test_the_short_way_answers_as_the_usual_one(backend: FakeBackend, key: str | None, task: str, body: bytes) -> None:
    backend.serve("acme/support", "v7", 3)
    answers = [
        http(backend, key).post(f"/v1/tasks/{task}/predict", content=body, headers={"content-type": kind})
        for kind in ("application/json", "application/json; charset=utf-8")
    ]
    short, usual = [(one.status_code, one.headers["content-type"], one.content) for one in answers]
    assert short[:2] == usual[:2]
    assert json.loads(short[2]) == json.loads(usual[2])


def test_a_task_from_spec_to_prediction(backend: FakeBackend) -> None:
    tornio = http(backend)
    spec = {**SPEC, "name": "new"}
    assert tornio.put("/v1/tasks/acme/new", json=spec).json()["created"]
    assert not tornio.put("/v1/tasks/acme/new", json=spec).json()["created"]
    task = "/v1/tasks/acme/new"
    assert tornio.post(f"{task}/records", json=[{"text": "hello"}, {"record_id": "7", "text": "x"}]).json() == {
        "added": 2,
        "known": 0,
        "same_text": 0,
        "deleted": 0,
    }
    body = {"purpose": "holdout", "source": "a.csv", "labels": [{"text": "my bill", "labels": ["billing"]}]}
    assert tornio.post(f"{task}/labels", json=body).json()["imported"] == 1
    assert "1 labels to holdout from a.csv by operator" in backend.calls
    backend.serve("acme/new", "v7", 3)
    answer = tornio.post(f"{task}/predict", json={"texts": ["a", "b"]}).json()
    assert [(p["version"], p["revision"]) for p in answer["predictions"]] == [("v7", 3)] * 2
    export = tornio.get(f"{task}/labels")
    assert export.headers[api.COUNT_HEADER] == "1"
    assert json.loads(export.text)["labels"] == ["billing"]


def test_a_prediction_on_the_wire(backend: FakeBackend) -> None:
    backend.serve("acme/support", "v7", 3)
    response = http(backend).post(f"{TASK}/predict", json={"texts": ["a"]})
    assert response.text == (
        '{"predictions":[{"labels":["billing"],"probabilities":{"billing":0.75,"bug":0.25},"truncated":false,'
        '"version":"v7","revision":3,"taught_by":null,"multi_label":false,"outdated_labels":false}]}'
    )


def test_a_spec_may_come_as_yaml(backend: FakeBackend) -> None:
    text = "workspace: acme\nname: notes\nlabels: [a, b]\n"
    response = http(backend).put("/v1/tasks/acme/notes", content=text, headers={"Content-Type": "application/yaml"})
    assert response.json()["created"]


def test_without_a_current_version_predicting_is_409_with_advice(backend: FakeBackend) -> None:
    found = problem(http(backend).post(f"{TASK}/predict", json={"texts": ["a"]}), 409)
    assert found.type == "urn:tornio:problem:not-servable"
    assert found.detail == no_version(
        TASK.removeprefix("/v1/tasks/"), "the task is paused; `tornio resume` continues it"
    )


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("GET", "/nowhere", None, 404, "/docs"),
        ("GET", "/v1/nowhere", None, 404, "/docs"),
        ("DELETE", TASK, None, 405, "knows no DELETE"),
        ("GET", "/v1/tasks/acme/missing", None, 404, "there is no task acme/missing"),
        ("GET", "/v1/tasks/acme/NOT_A_NAME", None, 422, "path.task"),
        ("PUT", TASK, {**SPEC, "labels": ["one"]}, 422, "labels"),
        ("PUT", TASK, {**SPEC, "lables": ["a"]}, 422, "lables"),
        ("PUT", TASK, {**SPEC, "name": "another"}, 422, "the same task"),
        ("PUT", TASK, {**SPEC, "multi_label": True}, 409, "make a new task"),
        ("POST", f"{TASK}/records", [], 422, "at least 1"),
        ("POST", f"{TASK}/records", {"text": "no list"}, 422, "list"),
        ("POST", f"{TASK}/records", [{"text": " "}], 422, "not white space"),
        ("POST", f"{TASK}/records", [{"text": "x" * 1_000_000}], 422, "found 1,000,000 characters"),
        ("POST", f"{TASK}/records", [{"txet": "x"}], 422, "text"),
        ("POST", f"{TASK}/records", [{"text": "x"}] * 5001, 422, "at most 5000"),
        ("POST", f"{TASK}/records", [{"text": "x", "record_id": "a\nb"}], 422, "record_id"),
        ("POST", f"{TASK}/labels", {"labels": [{"text": "x", "labels": ["nope"]}]}, 422, "nope"),
        ("POST", f"{TASK}/labels", {"purpose": "query", "labels": [{"text": "x", "labels": []}]}, 422, "purpose"),
        ("POST", f"{TASK}/predict", {"texts": ["x"] * 1001}, 422, "at most 1000"),
        ("POST", f"{TASK}/predict", {"texts": [7]}, 422, "body.texts.0"),
        ("POST", "/v1/zero-shot", {"texts": ["x"], "labels": ["one"]}, 422, "at least 2"),
        ("POST", "/v1/zero-shot", {"texts": ["x"], "labels": ["one", ""]}, 422, "labels.1"),
        ("POST", "/v1/zero-shot", {"texts": ["x"], "labels": ["one", {"name": ""}]}, 422, "labels.1"),
        ("POST", "/v1/zero-shot", {"texts": ["x"], "labels": ["", ""]}, 422, "labels.0"),
        (
            "POST",
            "/v1/zero-shot",
            {"texts": ["x"], "labels": [" a", "b"]},
            422,
            "labels.0.name: .*remove the white space",
        ),
        ("POST", "/v1/zero-shot", {"texts": ["x"], "labels": ["a", "a"]}, 422, "'a' is given 2 times"),
        ("POST", "/v1/zero-shot", {"texts": ["x"], "labels": ["a", {"name": "A"}]}, 422, "look the same"),
        ("POST", "/v1/zero-shot", {"texts": ["x", "\u200b"], "labels": ["a", "b"]}, 422, "texts.1: the text has no"),
        (
            "POST",
            "/v1/zero-shot",
            {"texts": ["x"], "labels": ["a", "b"], "templates": ["", ""]},
            422,
            "must contain {}",
        ),
        ("POST", "/v1/zero-shot", {"texts": ["x"], "labels": ["a", "b"], "templates": [" a"]}, 422, "must contain {}"),
        ("POST", f"{TASK}/predict", {"texts": ["a", ""]}, 422, "texts.1: the text has no character"),
        ("POST", f"{TASK}/predict", {"texts": [" \t\u2060\u3164"]}, 422, "texts.0: the text has no character"),
        ("POST", f"{TASK}/predict", {"texts": ["a"], "x" * 100_000: 1}, 422, "(100,005 characters)"),
        ("GET", "/" + "x" * 10_000, None, 404, "(10,001 characters)"),
        ("POST", f"{TASK}/runs", {"data": "/etc/passwd"}, 422, "s3://"),
        ("POST", f"{TASK}/runs", {"data": "s3://bucket/a.csv", "fold": 5}, 422, "fold"),
        ("POST", f"{TASK}/runs", {"job": "predict", "data": "a.csv"}, 422, "tornio predict acme/support FILE"),
        (
            "POST",
            f"{TASK}/runs",
            {"job": "train"},
            422,
            "'job' is one of label, adapt, compare, simulate, purge, score, predict",
        ),
        (
            "POST",
            f"{TASK}/runs",
            {"job": ["score"]},
            422,
            "'job' is one of label, adapt, compare, simulate, purge, score, predict",
        ),
        ("POST", f"{TASK}/runs", {"job": "label", "data": "s3://bucket/a.csv"}, 422, "data"),
        (
            "POST",
            f"{TASK}/runs",
            ["score"],
            422,
            "'job' is one of label, adapt, compare, simulate, purge, score, predict",
        ),
        ("GET", f"{TASK}/runs?most=0", None, 422, "most"),
        ("GET", f"{TASK}/runs/score-2", None, 404, "no run score-2"),
        ("GET", f"{TASK}/runs/..%2Ftask", None, 404, "/docs"),
        ("GET", f"{TASK}/runs/NO", None, 422, "path.run"),
    ],
)
def test_refusals_are_problem_documents(
    backend: FakeBackend, method: str, path: str, body: Any, status: int, says: str
) -> None:
    detail = problem(http(backend).request(method, path, json=body), status).detail
    assert all(part in detail for part in says.split(".*"))


@pytest.mark.parametrize(
    ("body", "request_"),
    [
        ({"data": "s3://bucket/a.csv", "part_rows": None}, ScoreRequest(data="s3://bucket/a.csv")),
        ({"job": "score", "data": "s3://bucket/a.csv", "folds": 5}, ScoreRequest(data="s3://bucket/a.csv", folds=5)),
        ({"job": "label"}, LabelRequest()),
        ({"job": "predict", "pool": True, "top_k": 3}, PredictRequest(pool=True, top_k=3)),
    ],
)
def test_a_run_is_asked_for_by_its_job(backend: FakeBackend, body: Any, request_: RunRequest) -> None:
    response = http(backend).post(f"{TASK}/runs", json=body)
    assert (response.status_code, response.json()["job"]) == (202, request_.job)
    assert backend.runs.asked == [request_]


@pytest.mark.parametrize("text", [b"\xff\xfe", b"{", b"", b'[{"text": NaN}]'])
def test_bodies_that_are_no_json(backend: FakeBackend, text: bytes) -> None:
    response = http(backend).post(f"{TASK}/records", content=text, headers={"Content-Type": "application/json"})
    assert problem(response, response.status_code).status in (400, 422)


def test_half_a_surrogate_pair_is_refused_and_the_refusal_can_be_sent(backend: FakeBackend) -> None:
    body = b'{"texts": ["\\ud800"]}'
    response = http(backend).post(f"{TASK}/predict", content=body, headers={"Content-Type": "application/json"})
    problem(response, 422)


def test_infinite_metadata_is_refused(backend: FakeBackend) -> None:
    body = b'[{"text": "x", "metadata": {"a": Infinity}}]'
    response = http(backend).post(f"{TASK}/records", content=body, headers={"Content-Type": "application/json"})
    problem(response, 422)


def test_a_body_that_is_not_said_to_be_json_is_refused_with_the_header_to_send(backend: FakeBackend) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}  # what curl -d sends
    for path, body in ((f"{TASK}/records", b'[{"text": "x"}]'), ("/hf/models/acme/support", b'{"inputs": "x"}')):
        response = http(backend).post(path, content=body, headers=form)
        assert response.status_code == 422
        assert "Content-Type: application/json" in response.text
    said = http(backend).post(f"{TASK}/records", json="text").text
    assert "Content-Type" not in said


@pytest.mark.parametrize("say_length", [True, False])
def test_a_body_above_the_limit_is_413(backend: FakeBackend, say_length: bool) -> None:
    backend.serve("acme/support")
    body = json.dumps({"texts": ["x" * 90_000] * 100}).encode()
    response = http(backend).post(
        f"{TASK}/predict",
        content=body if say_length else iter([body[:4_000_000], body[4_000_000:]]),
        headers={"Content-Type": "application/json"},
    )
    assert "8 MiB" in problem(response, 413).detail
    assert backend.calls == []


def test_many_faults_are_counted_and_listed(backend: FakeBackend) -> None:
    found = problem(http(backend).post(f"{TASK}/records", json=[{"text": ""}] * 50), 422)
    assert "and 47 more" in found.detail
    assert len(found.errors) == 20
    assert found.errors[3].where == "body.3.text"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.Unavailable("S3 is away"), 503),
        (errors.TemporaryError("busy"), 503),
        (errors.Changed("somebody was first"), 409),
        (errors.ChangeRefused("no"), 409),
        (errors.InvalidSpec("line 3"), 422),
        (errors.Forbidden("ask an owner"), 403),
        (errors.SchemaTooNew("upgrade"), 500),
        (errors.RunFailed("no"), 500),
    ],
)
def test_each_error_has_its_status_and_comes_back_as_its_class(
    backend: FakeBackend, error: errors.TornioError, status: int
) -> None:
    backend.fails = error
    found = problem(http(backend).get(TASK), status)
    assert api.error_class(found.type) is type(error)
    assert found.detail == str(error)


def test_try_again_says_when(backend: FakeBackend) -> None:
    backend.fails = errors.Unavailable("busy")
    assert http(backend).get(TASK).headers["retry-after"] == "1"


def test_a_bug_says_nothing_of_itself(backend: FakeBackend) -> None:
    backend.fails = RuntimeError("password=hunter2")
    found = problem(http(backend).get(TASK), 500)
    assert "hunter2" not in found.detail


def test_health_needs_no_key(backend: FakeBackend) -> None:
    tornio = http(backend, key=None)
    assert tornio.get("/healthz").json() == {"status": "ok"}
    assert tornio.get("/readyz").status_code == 200
    backend.is_ready = False
    refused = tornio.get("/readyz")
    assert (refused.status_code, refused.json()["parts"]) == (503, {"object store": "away"})


def test_the_documentation_lists_every_route(backend: FakeBackend) -> None:
    tornio = http(backend, key=None)
    assert tornio.get("/docs").status_code == 200
    paths = tornio.get("/openapi.json").json()["paths"]
    assert {"/v1/tasks/{workspace}/{task}/predict", "/v1/zero-shot", "/healthz", "/readyz"} <= set(paths)


# Who may do what

ROUTES: list[tuple[str, str, Any]] = [
    ("GET", TASK, None),
    ("POST", f"{TASK}/predict", {"texts": ["x"]}),
    ("POST", "/v1/zero-shot", {"texts": ["x"], "labels": ["a", "b"]}),
    ("GET", "/v1/tasks", None),
    ("GET", f"{TASK}/runs", None),
    ("GET", f"{TASK}/runs/score-1", None),
    ("PUT", TASK, SPEC),
    ("POST", f"{TASK}/runs", {"data": "s3://bucket/data.csv"}),
    ("POST", f"{TASK}/runs/score-1/cancel", None),
    ("POST", f"{TASK}/records", [{"text": "x"}]),
    ("POST", f"{TASK}/labels", {"labels": [{"text": "x", "labels": ["bug"]}]}),
    ("GET", f"{TASK}/labels", None),
    ("GET", f"{TASK}/versions", None),
    ("POST", f"{TASK}/rollback", None),
    ("POST", f"{TASK}/pause", None),
    ("POST", f"{TASK}/resume", None),
    ("POST", f"{TASK}/train-now", None),
]
FOR_PREDICTORS = 6


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_nothing_without_a_key(backend: FakeBackend, method: str, path: str, body: Any) -> None:
    response = http(backend, key=None).request(method, path, json=body)
    assert "Authorization" in problem(response, 401).detail
    assert response.headers["www-authenticate"] == "Bearer"
    assert "unknown" in problem(http(backend, key="a-key-nobody-has").request(method, path, json=body), 401).detail


@pytest.mark.parametrize(("method", "path", "body"), ROUTES[:FOR_PREDICTORS])
def test_what_the_role_predict_may_do(backend: FakeBackend, method: str, path: str, body: Any) -> None:
    backend.serve("acme/support")
    assert http(backend, PREDICTOR).request(method, path, json=body).is_success


@pytest.mark.parametrize(("method", "path", "body"), ROUTES[FOR_PREDICTORS:])
def test_what_the_role_predict_may_not_do(backend: FakeBackend, method: str, path: str, body: Any) -> None:
    backend.serve("acme/support", "v2", 2, "v1")
    assert "has the role 'predict'" in problem(http(backend, PREDICTOR).request(method, path, json=body), 403).detail
    assert http(backend).request(method, path, json=body).is_success


@pytest.mark.parametrize(("method", "path", "body"), [route for route in ROUTES if TASK in route[1]])
def test_other_workspaces_are_closed(backend: FakeBackend, method: str, path: str, body: Any) -> None:
    path = path.replace("acme/support", "other/secret")
    found = problem(http(backend).request(method, path, json=body), 403)
    assert "'other'" in found.detail
    assert "ask" in found.detail


def test_the_list_shows_own_tasks_only(backend: FakeBackend) -> None:
    assert [task["workspace"] for task in http(backend).get("/v1/tasks").json()["tasks"]] == ["acme"]
    everywhere = KEYS.replace('["acme"]', '["*"]')
    tasks = http(backend, keys=everywhere).get("/v1/tasks").json()["tasks"]
    assert [task["workspace"] for task in tasks] == ["acme", "other"]


def test_a_body_without_a_key_is_not_read(backend: FakeBackend) -> None:
    response = http(backend, key=None).post(f"{TASK}/predict", content=b"not JSON at all")
    problem(response, 401)


# Without keys, on one's own machine


def from_browser(backend: FakeBackend, host: str, origin: str | None = None) -> httpx.Response:
    headers = {"Host": host} | ({} if origin is None else {"Origin": origin})
    app = app_of(backend, keys="[]", insecure=True)
    with httpx.Client(transport=AppTransport(app), base_url="http://127.0.0.1:8000", headers=headers) as tornio:
        return tornio.post(f"{TASK}/pause")


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8000", None),
        ("localhost:8000", "http://localhost:8000"),
        ("LOCALHOST", None),
        ("[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_a_server_without_keys_answers_on_its_own_machine(backend: FakeBackend, host: str, origin: str | None) -> None:
    assert from_browser(backend, host, origin).status_code == 200


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("evil.example", None),
        ("evil.example:8000", "http://evil.example:8000"),
        ("127.0.0.1.evil.example", None),
        ("192.168.0.7:8000", None),
        ("[::1", None),
        ("", None),
        ("127.0.0.1:8000", "https://evil.example"),
        ("127.0.0.1:8000", "http://127.0.0.1:3000"),
        ("127.0.0.1:8000", "null"),
    ],
)
def test_a_server_without_keys_is_closed_to_pages_of_others(
    backend: FakeBackend, host: str, origin: str | None
) -> None:
    assert "no API keys" in problem(from_browser(backend, host, origin), 403).detail
    assert not backend.held[TaskName("acme", "support")].asks.paused


def test_with_a_key_any_name_of_the_server_will_do(backend: FakeBackend) -> None:
    response = http(backend).post(f"{TASK}/pause", headers={"Host": "tornio.acme.example", "Origin": "https://x.org"})
    assert response.status_code == 200
