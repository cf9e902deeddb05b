"""Every protocol counts texts alike, and refuses in its own format."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from services import metrics
from services.gateway.app import create_app
from services.gateway.auth import FixedKeys, KeyRing, read_keys
from services.metrics import RecordingMeter
from tests.unit.gateway.fake import AppTransport, FakeBackend, FakeTask
from tornio.api import TaskName
from tornio.client import Client
from tornio.errors import Throttled
from tornio.spec import TaskSpec

pytestmark = pytest.mark.unit

KEY = "a-key-with-a-limit"
LIMITED: dict[str, Any] = {"name": "shop", "key": KEY, "workspaces": ["acme"], "role": "predict"}
LIMITED |= {"texts_per_second": 0.001, "burst_texts": 4}
TWO = ["one", "two"]
SPEC = TaskSpec.model_validate({"workspace": "acme", "name": "support", "labels": ["a", "b"]})
TENSOR = {"name": "text", "datatype": "BYTES", "shape": [2], "data": TWO}
ASKS: list[tuple[str, Any, str]] = [
    ("/v1/tasks/acme/support/predict", {"texts": TWO}, "detail"),
    ("/v1/tasks/acme/support/predict-lines", '"one"\n"two"\n', "detail"),
    ("/v1/zero-shot", {"texts": TWO, "labels": ["a", "b"]}, "detail"),
    ("/v2/models/acme.support/infer", {"inputs": [TENSOR]}, "error"),
    ("/v2/models/acme.support/versions/v1/infer", {"inputs": [TENSOR]}, "error"),
    ("/hf/models/acme/support", {"inputs": TWO}, "error"),
    ("/hf/zero-shot-classification", {"inputs": TWO, "parameters": {"candidate_labels": ["a", "b"]}}, "error"),
]


def transport(meter: RecordingMeter | None = None) -> AppTransport:
    backend = FakeBackend({TaskName("acme", "support"): FakeTask(SPEC)})
    backend.serve("acme/support")
    keys = KeyRing(FixedKeys(read_keys(json.dumps([LIMITED]), "keys")))
    return AppTransport(create_app(backend, keys, meter=meter))


@pytest.mark.parametrize(("path", "body", "field"), ASKS)
def test_every_protocol_counts_texts(path: str, body: Any, field: str) -> None:
    meter = RecordingMeter()
    with httpx.Client(transport=transport(meter), base_url="http://tornio") as http:
        http.headers["Authorization"] = f"Bearer {KEY}"
        sent = {"content": body} if isinstance(body, str) else {"json": body}
        answers = [http.post(path, **sent) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429], answers[0].text
    assert 1_990 <= int(answers[2].headers["Retry-After"]) <= 2_000
    assert "'shop' may have 0.001 texts a second" in answers[2].json()[field]
    assert meter.of(metrics.THROTTLED, key="shop") == [2]


def test_the_client_says_what_limits_it() -> None:
    client = Client("http://tornio", KEY, transport=transport())
    client.predict("acme/support", [*TWO, *TWO])
    with pytest.raises(Throttled, match="at once"):
        client.predict("acme/support", TWO)
