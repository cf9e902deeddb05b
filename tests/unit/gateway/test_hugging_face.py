"""The inference API of Hugging Face, and its own client against a running server."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from huggingface_hub import InferenceClient, constants
from huggingface_hub.errors import HfHubHTTPError

from tests.unit.gateway.fake import KEYS, PREDICTOR, AppTransport, FakeBackend, FakeTask, app_of
from tests.unit.gateway.serving import served
from tornio.api import TaskName
from tornio.spec import TaskSpec

pytestmark = pytest.mark.unit

CLASSIFY, ZERO_SHOT = "/hf/models/acme/support", "/hf/zero-shot-classification"
LABELS = ["delivery", "billing"]
BILLING, BUG = {"label": "billing", "score": 0.75}, {"label": "bug", "score": 0.25}


@pytest.fixture
def backend() -> FakeBackend:
    spec = TaskSpec.model_validate({"workspace": "acme", "name": "support", "labels": ["billing", "bug"]})
    topics = spec.model_copy(update={"name": "topics", "multi_label": True})
    made = FakeBackend({TaskName("acme", "support"): FakeTask(spec), TaskName("acme", "topics"): FakeTask(topics)})
    made.serve("acme/support")
    made.serve("acme/topics")
    return made


def post(backend: FakeBackend, path: str, body: Any, key: str | None = PREDICTOR) -> httpx.Response:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    with httpx.Client(transport=AppTransport(app_of(backend, KEYS)), base_url="http://tornio") as client:
        return client.post(path, json=body, headers=headers)


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"inputs": "a"}, [[BILLING, BUG]]),
        ({"inputs": ["a", "b"]}, [[BILLING, BUG]] * 2),
        ({"inputs": "a", "parameters": {"top_k": 1}}, [[BILLING]]),
        ({"inputs": "a", "parameters": {"top_k": 9, "function_to_apply": "softmax"}}, [[BILLING, BUG]]),
        ({"inputs": "a", "parameters": None, "options": {"wait_for_model": True}}, [[BILLING, BUG]]),
    ],
)
def test_texts_are_classified(backend: FakeBackend, body: Any, answer: Any) -> None:
    assert post(backend, CLASSIFY, body).json() == answer


@pytest.mark.parametrize(
    ("path", "function", "status"),
    [("support", "sigmoid", 422), ("support", "none", 422), ("topics", "softmax", 422), ("topics", "sigmoid", 200)],
)
def test_only_the_models_own_function_is_applied(backend: FakeBackend, path: str, function: str, status: int) -> None:
    body = {"inputs": "a", "parameters": {"function_to_apply": function}}
    response = post(backend, f"/hf/models/acme/{path}", body)
    assert response.status_code == status
    assert status == 200 or "leave the parameter out" in response.json()["error"]


def test_zero_shot_answers_as_the_inputs_were(backend: FakeBackend) -> None:
    parameters = {"candidate_labels": LABELS, "hypothesis_template": "It is {}.", "multi_label": True}
    one = post(backend, ZERO_SHOT, {"inputs": "a", "parameters": parameters}).json()
    assert one == [{"label": "delivery", "score": 1.0}]
    assert post(backend, ZERO_SHOT, {"inputs": ["a", "b"], "parameters": parameters}).json() == [one, one]


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        (CLASSIFY, {}, 422, "inputs"),
        (CLASSIFY, {"inputs": []}, 422, "at least 1"),
        (CLASSIFY, {"inputs": " "}, 422, "people can see"),
        (CLASSIFY, {"inputs": "a", "parameters": {"top_k": 0}}, 422, "top_k"),
        (CLASSIFY, {"inputs": "a", "parameters": {"candidate_labels": LABELS}}, 422, "candidate_labels"),
        ("/hf/models/acme/none", {"inputs": "a"}, 404, "acme/none"),
        ("/hf/models/other/secret", {"inputs": "a"}, 403, "no access"),
        (ZERO_SHOT, {"inputs": "a"}, 422, "parameters"),
        (ZERO_SHOT, {"inputs": "a", "parameters": {"candidate_labels": ["x"]}}, 422, "labels"),
        (
            ZERO_SHOT,
            {"inputs": "a", "parameters": {"candidate_labels": LABELS, "hypothesis_template": "no"}},
            422,
            "template",
        ),
    ],
)
def test_what_cannot_be_answered_is_refused(backend: FakeBackend, path: str, body: Any, status: int, says: str) -> None:
    response = post(backend, path, body)
    assert (response.status_code, list(response.json())) == (status, ["error"])
    assert says in response.json()["error"]


@pytest.mark.parametrize("path", [CLASSIFY, ZERO_SHOT])
def test_a_key_is_needed(backend: FakeBackend, path: str) -> None:
    assert post(backend, path, {"inputs": "a"}, key=None).status_code == 401


def test_the_official_client_works_unmodified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # it would not even ask 127.0.0.1
    with served() as port:
        address = f"http://127.0.0.1:{port}"
        client = InferenceClient(base_url=f"{address}{CLASSIFY}", api_key=PREDICTOR)
        answer = client.text_classification("Where is my parcel?")
        assert [(one.label, one.score) for one in answer] == [("a", 0.75), ("b", 0.25)]
        assert [one.label for one in client.text_classification("Hello", top_k=1)] == ["a"]
        with pytest.raises(HfHubHTTPError, match="leave the parameter out"):
            client.text_classification("Hello", function_to_apply="sigmoid")
        teacher = InferenceClient(base_url=f"{address}{ZERO_SHOT}", api_key=PREDICTOR)
        found = teacher.zero_shot_classification("Hello", LABELS, multi_label=True, hypothesis_template="It is {}.")
        assert [(one.label, one.score) for one in found] == [("delivery", 1.0)]
        with pytest.raises(HfHubHTTPError, match=r"no API key|unknown to this server"):
            InferenceClient(base_url=f"{address}{CLASSIFY}", api_key="wrong").text_classification("Hello")
