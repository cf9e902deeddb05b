"""The Open Inference Protocol with a backend in memory: what its routes answer, and how they refuse."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.unit.gateway.fake import KEYS, OPERATOR, PREDICTOR, AppTransport, FakeBackend, FakeTask, app_of
from tornio import __version__
from tornio.api import TaskName
from tornio.errors import Unavailable
from tornio.spec import TaskSpec

pytestmark = pytest.mark.unit

SUPPORT = TaskName("acme", "support")
MODEL = "/v2/models/acme.support"
ONE = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]}]}


def spec(workspace: str, name: str, **fields: Any) -> TaskSpec:
    return TaskSpec.model_validate({"workspace": workspace, "name": name, "labels": ["billing", "bug"]} | fields)


@pytest.fixture
def backend() -> FakeBackend:
    held = {
        SUPPORT: FakeTask(spec("acme", "support")),
        TaskName("acme", "topics"): FakeTask(spec("acme", "topics", multi_label=True)),
        TaskName("acme", "new"): FakeTask(spec("acme", "new")),
        TaskName("other", "secret"): FakeTask(spec("other", "secret")),
    }
    made = FakeBackend(held)
    made.serve("acme/support", "v2", 2, "v1")
    made.serve("acme/topics")
    return made


def http(backend: FakeBackend, key: str | None = PREDICTOR) -> httpx.Client:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx.Client(transport=AppTransport(app_of(backend, KEYS)), base_url="http://tornio", headers=headers)


def text(data: Any, shape: list[int] | None = None, **more: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "text", "datatype": "BYTES", "shape": shape or [len(data)], "data": data} | more]}


def error(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert list(response.json()) == ["error"]
    return str(response.json()["error"])


def test_the_server_names_itself(backend: FakeBackend) -> None:
    found = http(backend).get("/v2").json()
    assert found == {
        "name": "tornio",
        "version": __version__,
        "extensions": ["binary_tensor_data", "model_repository"],
    }


def test_health_is_json_and_open_to_probes(backend: FakeBackend) -> None:
    client = http(backend, key=None)
    assert client.get("/v2/health/live").json() == {"live": True}
    ready = client.get("/v2/health/ready")
    assert (ready.status_code, ready.json()) == (200, {"ready": True})
    backend.is_ready = False
    ready = client.get("/v2/health/ready")
    assert (ready.status_code, ready.json()) == (503, {"ready": False})


def test_metadata_has_the_labels_in_their_order(backend: FakeBackend) -> None:
    assert http(backend).get(MODEL).json() == {
        "name": "acme.support",
        "versions": ["v2", "v1"],
        "platform": "tornio_few-shot",
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1], "parameters": {}}],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1], "parameters": {}},
            {"name": "score", "datatype": "FP32", "shape": [-1], "parameters": {}},
            {
                "name": "probabilities",
                "datatype": "FP32",
                "shape": [-1, 2],
                "parameters": {"labels": ["billing", "bug"]},
            },
            {"name": "truncated", "datatype": "BOOL", "shape": [-1], "parameters": {}},
        ],
    }


def test_a_model_is_ready_when_it_answers(backend: FakeBackend) -> None:
    assert http(backend).get(f"{MODEL}/ready").json() == {"name": "acme.support", "ready": True}
    assert "no version" in error(http(backend).get("/v2/models/acme.new/ready"), 503)
    backend.asleep.add(SUPPORT)
    waking = http(backend).get(f"{MODEL}/ready")
    assert "being loaded" in error(waking, 503)
    assert waking.headers["retry-after"] == "1"
    assert http(backend).get(f"{MODEL}/ready").status_code == 200


def test_infer(backend: FakeBackend) -> None:
    response = http(backend).post(f"{MODEL}/infer", json=text(["a", "b"]) | {"id": "request 1"})
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "model_name": "acme.support",
        "model_version": "v2",
        "id": "request 1",
        "parameters": {"revision": 2},
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["billing", "billing"]},
            {"name": "score", "datatype": "FP32", "shape": [2], "data": [0.75, 0.75]},
            {"name": "probabilities", "datatype": "FP32", "shape": [2, 2], "data": [0.75, 0.25, 0.75, 0.25]},
            {"name": "truncated", "datatype": "BOOL", "shape": [2], "data": [False, False]},
        ],
    }


def test_several_labels_are_a_json_list_per_text(backend: FakeBackend) -> None:
    outputs = http(backend).post("/v2/models/acme.topics/infer", json=ONE).json()["outputs"]
    assert [output["name"] for output in outputs] == ["labels", "probabilities", "truncated"]
    assert outputs[0]["data"] == ['["billing"]']
    assert [one["name"] for one in http(backend).get("/v2/models/acme.topics").json()["outputs"]] == [
        "labels",
        "probabilities",
        "truncated",
    ]


@pytest.mark.parametrize(
    ("version", "answers", "revision"), [("current", "v2", 2), ("v2", "v2", 2), ("previous", "v1", 0), ("v1", "v1", 0)]
)
def test_a_version_can_be_named(backend: FakeBackend, version: str, answers: str, revision: int) -> None:
    path = f"{MODEL}/versions/{version}"
    answer = http(backend).post(f"{path}/infer", json=ONE).json()
    assert (answer["model_version"], answer["parameters"]) == (answers, {"revision": revision})
    assert http(backend).get(f"{path}/ready").json() == {"name": "acme.support", "ready": True}
    assert http(backend).get(path).json()["versions"] == ["v2", "v1"]


@pytest.mark.parametrize(("version", "status"), [("v9", 404), ("-x", 422), ("a b", 422), ("%00", 422)])
def test_a_version_that_does_not_exist(backend: FakeBackend, version: str, status: int) -> None:
    assert error(http(backend).post(f"{MODEL}/versions/{version}/infer", json=ONE), status)


@pytest.mark.parametrize(
    ("body", "call"),
    [
        (b"", "load None"),
        (b"{}", "load None"),
        (b'{"parameters": {"version": "current"}}', "load None"),
        (b'{"parameters": {"version": "v1"}}', "load v1"),
    ],
)
def test_load_loads_a_version(backend: FakeBackend, body: bytes, call: str) -> None:
    response = http(backend, OPERATOR).post("/v2/repository/models/acme.support/load", content=body)
    assert response.json() == {"name": "acme.support", "ready": True}
    assert backend.calls == [call]


@pytest.mark.parametrize("parameters", [{"config": "{}"}, {"file:1/model.onnx": "AA=="}, {"version": 3}])
def test_load_changes_no_model(backend: FakeBackend, parameters: Any) -> None:
    client = http(backend, OPERATOR)
    refused = client.post("/v2/repository/models/acme.support/load", json={"parameters": parameters})
    assert "only parameter" in error(refused, 422)


def test_unload_takes_triton_s_parameters(backend: FakeBackend) -> None:
    body = {"parameters": {"unload_dependents": False}}
    response = http(backend, OPERATOR).post("/v2/repository/models/acme.support/unload", json=body)
    assert (response.json(), backend.calls) == ({}, ["unload"])


@pytest.mark.parametrize("act", ["load", "unload"])
def test_load_and_unload_are_for_operators(backend: FakeBackend, act: str) -> None:
    path = f"/v2/repository/models/acme.support/{act}"
    assert "role 'operate'" in error(http(backend, PREDICTOR).post(path), 403)
    assert "acme/none" in error(http(backend, OPERATOR).post(f"/v2/repository/models/acme.none/{act}"), 404)
    assert "no access" in error(http(backend, OPERATOR).post(f"/v2/repository/models/other.secret/{act}"), 403)
    assert backend.calls == []


@pytest.mark.parametrize("data", [["a", "b"], [["a"], ["b"]]])
def test_a_column_of_texts_is_read_too(backend: FakeBackend, data: Any) -> None:
    """MLServer's codecs write [n, 1]."""
    asked = text(data, [2, 1], parameters={"content_type": "str"})
    assert http(backend).post(f"{MODEL}/infer", json=asked).json()["outputs"][0]["shape"] == [2]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "inputs"),
        ({"inputs": []}, "inputs"),
        ({"inputs": [{"name": "x", "datatype": "BYTES", "shape": [1], "data": ["a"]}]}, "one input, 'text'"),
        (text(["a"], datatype="FP32"), "BYTES"),
        (text(["a"], [2]), r"shape [2] and 1 texts"),
        (text(["a", "b"], [1, 2]), r"shape must be [2]"),
        (text([1]), "must be a string"),
        (text([" "]), "people can see"),
        (text(["a"], parameters={"content_type": "base64"}), "content type"),
        (text(["a"], parameters={"binary_data_size": 5}), "without 'data'"),
        (text(None, [1]), "neither"),
        (text(["a"] * 1001), "1000"),
        (ONE | {"outputs": [{"name": "logits"}]}, "no output 'logits'"),
        (ONE | {"outputs": [{"name": "label", "parameters": {"classification": 2}}]}, "classification"),
    ],
)
def test_what_cannot_be_read_is_refused(backend: FakeBackend, body: Any, says: str) -> None:
    assert says in error(http(backend).post(f"{MODEL}/infer", json=body), 422)


@pytest.mark.parametrize(
    ("model", "status", "says"),
    [
        ("acme.none", 404, "acme/none"),
        ("support", 404, "acme/reviews is acme.reviews"),
        ("Acme.support", 404, "acme/reviews is acme.reviews"),
        ("a.b.c", 404, "acme/reviews is acme.reviews"),
        ("other.secret", 403, "no access to workspace"),
        ("acme.new", 409, "no version"),
    ],
)
def test_a_model_that_cannot_answer(backend: FakeBackend, model: str, status: int, says: str) -> None:
    assert says in error(http(backend).post(f"/v2/models/{model}/infer", json=ONE), status)


def test_a_busy_model_says_try_again(backend: FakeBackend) -> None:
    backend.fails = Unavailable("busy")
    refused = http(backend).post(f"{MODEL}/infer", json=ONE)
    assert error(refused, 503) == "busy"
    assert refused.headers["retry-after"] == "1"


@pytest.mark.parametrize(("method", "path"), [("GET", "/v2"), ("GET", MODEL), ("POST", "/v2/repository/index")])
def test_every_route_but_health_needs_a_key(backend: FakeBackend, method: str, path: str) -> None:
    assert "no API key" in error(http(backend, key=None).request(method, path), 401)


@pytest.mark.parametrize("content", [b"", b"{}"])
def test_the_index_lists_the_models_of_the_keys_workspaces(backend: FakeBackend, content: bytes) -> None:
    rows = http(backend, OPERATOR).post("/v2/repository/index", content=content).json()
    assert [(row["name"], row["state"]) for row in rows] == [
        ("acme.support", "READY"),
        ("acme.topics", "READY"),
        ("acme.new", "UNAVAILABLE"),
    ]
    assert (rows[0]["version"], rows[2]["reason"]) == ("v2", "batch 1")


def test_the_index_lists_only_what_is_ready_if_asked(backend: FakeBackend) -> None:
    rows = http(backend).post("/v2/repository/index", json={"ready": True}).json()
    assert [row["name"] for row in rows] == ["acme.support", "acme.topics"]
