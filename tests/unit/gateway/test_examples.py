"""Every example of the description of the API is sent, and answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import httpx
import pytest

from services.gateway.examples import EXAMPLES
from tests.unit.gateway.fake import ADMIN, AppTransport, FakeBackend, FakeTask, app_of
from tornio.api import RecordIn, TaskName, UploadIn
from tornio.spec import TaskSpec

pytestmark = pytest.mark.unit

OF_PREDICTIONS = {"predictions", "open inference protocol", "hugging face"}
NAMES = {"workspace": "acme", "task": "support", "model": "acme.support", "version": "v1", "run": "score-1"}
NAMES |= {"name": sha256(b"text,label\n").hexdigest() + ".csv", "part": "0"}


def client() -> httpx.Client:
    """On a server whose task acme/support has everything that the examples name."""
    spec = TaskSpec.model_validate({"workspace": "acme", "name": "support", "labels": ["delivery", "billing"]})
    task = FakeTask(spec, records={"r1": RecordIn(record_id="r1", text="Where is my parcel?")})
    backend = FakeBackend({TaskName("acme", "support"): task})
    backend.serve("acme/support", "v2", 2, "v1")
    asyncio.run(backend.uploads.begin("acme", NAMES["name"], UploadIn(size=11), "ops"))
    headers = {"Authorization": f"Bearer {ADMIN}"}
    return httpx.Client(transport=AppTransport(app_of(backend)), base_url="http://tornio", headers=headers)


def requests() -> Iterator[tuple[str, str, str, Any, set[str]]]:
    """Method, path, media type, example and tags of each operation with a body. Without an example, it is None."""
    for path, operations in app_of(FakeBackend()).openapi()["paths"].items():
        for method, operation in operations.items():
            for kind, body in operation.get("requestBody", {}).get("content", {}).items():
                example = body.get("example", *body["schema"].get("examples", [None])[:1])
                yield method, path, kind, example, set(operation["tags"])


ALL = {(method, path): (kind, example) for method, path, kind, example, _ in requests() if example is not None}


@pytest.mark.parametrize(("method", "path"), ALL)
def test_every_example_is_answered(method: str, path: str) -> None:
    kind, example = ALL[method, path]
    content = example if isinstance(example, str) else json.dumps(example)
    with client() as http:
        answer = http.request(method, path.format(**NAMES), content=content, headers={"Content-Type": kind})
    assert answer.is_success, answer.text


def test_requests_for_predictions_have_an_example() -> None:
    asked = {(method, path) for method, path, _, _, tags in requests() if tags & OF_PREDICTIONS}
    assert len(asked) > 8
    assert asked <= ALL.keys()


def test_no_example_is_left_of_a_route_that_is_gone() -> None:
    assert EXAMPLES.keys() <= {path for _, path in ALL}
