"""What a user changes by the API wakes the controller for the task, because it looks at a quiet one rarely."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from services.gateway.app import create_app
from services.gateway.auth import FixedKeys, KeyRing, read_keys
from services.gateway.backend import StoreBackend
from tests.unit.gateway.fake import ADMIN, KEYS, FakeBackend, app_of
from tests.unit.gateway.test_backend import FakeCluster, FakePredictor
from tests.unit.registry.example import manifest
from tornio.api import TaskName
from tornio.registry import CANDIDATE, CURRENT, Registry
from tornio.schemas.keys import TaskKeys
from tornio.schemas.task import GateVerdict, Iteration
from tornio.settings import UploadSettings
from tornio.spec import TaskSpec
from tornio.storage import documents
from tornio.storage.memory import MemoryStore
from tornio.tasks import Tasks
from tornio.uploads import UploadRoom

pytestmark = pytest.mark.unit

NAME = TaskName("acme", "support")
SPEC = {"workspace": "acme", "name": "support", "labels": ["billing", "bug"], "guidelines": "Old."}
LABELLED = [{"text": "one", "labels": ["bug"]}, {"text": "two", "labels": ["billing"]}]
TASK = "/v1/tasks/{workspace}/{task}"
UPLOAD = f"{sha256(b'model').hexdigest()}.tar"
ACTS: dict[tuple[str, str], Any] = {
    ("put", TASK): SPEC | {"guidelines": "New."},
    ("post", f"{TASK}/records"): [{"record_id": "r9", "text": "a new text"}],
    ("post", f"{TASK}/records/delete"): {"record_ids": ["r1"]},
    ("post", f"{TASK}/labels"): {"purpose": "train", "labels": LABELLED},
    ("post", f"{TASK}/labels/migrate"): {"rename": {"bug": "defect"}},
    ("post", f"{TASK}/model"): {"upload": UPLOAD, "labels": ["bug", "billing"]},
    ("post", f"{TASK}/rollback"): {"why": "worse"},
    ("post", f"{TASK}/versions/{{version}}/promote"): {"why": "better"},
    ("post", f"{TASK}/pause"): None,
    ("post", f"{TASK}/resume"): None,
    ("post", f"{TASK}/train-now"): {"force": True},
    ("post", f"{TASK}/runs"): {"job": "score", "data": "s3://data/reviews.parquet"},
    ("post", f"{TASK}/runs/{{run}}/cancel"): None,
}
"""A body for each route that changes a task."""
CHANGE_NOTHING = {("post", f"{TASK}/predict"), ("post", f"{TASK}/predict-lines")}


JUDGED = Iteration(
    number=1, generation=1, batches=(), label_seq=1, pool_seq=1, spec_rev=1, labels={}, train_run="train-1",
    version="v1", verdict=GateVerdict(promoted=True, integrity=True, reasons=("fine",)),
    started_at=datetime.now(UTC), finished_at=datetime.now(UTC),
)  # fmt: skip


class Gateway:
    """The app over a store in memory, with the task acme/support: two texts, two versions, one run."""

    def __init__(self) -> None:
        store, self.cluster = MemoryStore(), FakeCluster()
        Tasks(store).apply(TaskSpec.model_validate(SPEC), "test")
        keys = TaskKeys(*NAME)
        registry = Registry(store, keys)
        for revision, version in enumerate(("v1", "v2")):
            documents.create(store, keys.version(version), manifest(version, minute=revision))
            registry.move(CANDIDATE, version, revision, "controller", "passed")
            registry.move(CURRENT, version, revision, "controller", "passed")
        documents.create(store, keys.iteration(1), JUDGED)
        room = UploadRoom(store, NAME.workspace, UploadSettings(), lambda: datetime.now(UTC))
        room.begin(UPLOAD, len(b"model"), "model.tar", "test")
        room.put_part(UPLOAD, 0, b"model")
        room.complete(UPLOAD)
        backend = StoreBackend(store, self.cluster, FakePredictor(), answers_s=0.0)
        self._app = create_app(backend, KeyRing(FixedKeys(read_keys(KEYS, "keys"))))

    def ask(self, method: str, path: str, body: Any) -> httpx.Response:
        """The answer, once everything has run that the request left behind."""
        self.cluster.nudged.clear()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await self._app(scope, receive, send)
            await asyncio.sleep(0)

        async def carry() -> httpx.Response:
            headers = {"Authorization": f"Bearer {ADMIN}"}
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://tornio", headers=headers) as http:
                return await http.request(method, path, json=body)

        return asyncio.run(carry())


def test_every_route_that_changes_a_task_is_known_here() -> None:
    paths = app_of(FakeBackend()).openapi()["paths"].items()
    found = {(method, path) for path, methods in paths if path.startswith(TASK) for method in methods} - {
        (method, path) for path, methods in paths for method in methods if method in ("get", "head")
    }
    assert found == set(ACTS) | CHANGE_NOTHING


@pytest.mark.parametrize(("method", "path"), ACTS)
def test_what_a_user_changes_wakes_the_task_at_once(method: str, path: str) -> None:
    gateway = Gateway()
    filled = {"workspace": NAME.workspace, "task": NAME.task}
    texts = [{"record_id": f"r{n}", "text": text} for n, text in enumerate(("one", "two"), start=1)]
    assert gateway.ask("post", TASK.format(**filled) + "/records", texts).is_success
    assert gateway.ask("post", TASK.format(**filled) + "/labels", ACTS["post", f"{TASK}/labels"]).is_success
    run = gateway.ask("post", TASK.format(**filled) + "/runs", ACTS["post", f"{TASK}/runs"]).json()["run"]
    answer = gateway.ask(method, path.format(**filled, run=run, version="v1"), ACTS[method, path])
    assert answer.is_success, answer.text
    assert NAME in gateway.cluster.nudged
