"""Uploads behind the API, and the client that sends them."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from threading import Event

import httpx
import pytest

from services.gateway.auditing import Auditor
from services.gateway.stored_uploads import StoreUploads
from tests.unit.cli.test_commands import TASK, Tornio, answer, backend, task, tornio
from tests.unit.gateway.fake import KEYS, NOW, OPERATOR, PREDICTOR, AppTransport, FakeBackend, app_of
from tornio import Client, errors
from tornio.api import PART_BYTES, ScoreRequest, UploadIn
from tornio.schemas.keys import TaskKeys, UploadKeys
from tornio.schemas.runs import RunAsk
from tornio.settings import UploadSettings
from tornio.spec import TaskSpec
from tornio.storage import documents
from tornio.storage.memory import MemoryStore
from tornio.tasks import Tasks

pytestmark = pytest.mark.unit
__all__ = ["backend", "task", "tornio"]  # fixtures

DATA = b"text,label\n" + b"a parcel that is late,delivery\n" * (PART_BYTES // 16)
NAME = f"{sha256(DATA).hexdigest()}.csv"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "reviews of 2025.CSV"
    path.write_bytes(DATA)
    return path


class Counting(AppTransport):
    """Notes each request. From request ``fails_from`` on, the connection is cut."""

    fails_from = 10**9

    def __init__(self, backend: FakeBackend) -> None:
        super().__init__(app_of(backend, KEYS))
        self.seen: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if len(self.seen) >= self.fails_from:
            raise httpx.WriteError("the line is cut")
        self.seen.append(f"{request.method} {request.url.path.rpartition('/uploads')[2].replace(NAME, 'NAME')}")
        return super().handle_request(request)


def client_of(backend: FakeBackend, key: str = OPERATOR) -> tuple[Client, Counting]:
    transport = Counting(backend)
    return Client("http://tornio", key, transport=transport, retry_seconds=0), transport


def stored(backend: FakeBackend) -> MemoryStore:
    assert isinstance(backend.uploads.store, MemoryStore)
    return backend.uploads.store


def test_a_file_is_sent_in_parts_and_not_sent_again(backend: FakeBackend, file: Path) -> None:
    client, transport = client_of(backend)
    done: list[int] = []
    upload = client.upload("acme", file, done.append)
    assert (upload.name, upload.file, upload.whole, upload.who) == (NAME, "reviews of 2025.CSV", True, "operator")
    assert sum(done) == len(DATA)
    assert stored(backend).get(UploadKeys("acme", NAME).data).body == DATA
    parts = [f"PUT /NAME/parts/{number}" for number in range(upload.parts)]
    assert transport.seen == ["PUT /NAME", *parts, "GET /NAME", "POST /NAME/complete"]
    transport.seen.clear()
    done.clear()
    assert client.upload("acme", file, done.append).whole
    assert (transport.seen, done) == (["PUT /NAME"], [len(DATA)])


def test_an_interrupted_upload_goes_on_where_it_was(backend: FakeBackend, file: Path) -> None:
    client, transport = client_of(backend)
    transport.fails_from = 2
    with pytest.raises(errors.Unavailable, match="does not respond"):
        client.upload("acme", file)
    assert stored(backend).head(UploadKeys("acme", NAME).data) is None
    again, transport = client_of(backend)
    done: list[int] = []
    assert again.upload("acme", file, done.append).whole
    assert "PUT /NAME/parts/0" not in transport.seen
    assert (done[0], sum(done)) == (PART_BYTES, len(DATA))


def test_a_file_that_changes_while_it_is_sent_is_refused(backend: FakeBackend, file: Path) -> None:
    client, _ = client_of(backend)

    def change(_: int) -> None:
        file.write_bytes(b"x" * len(DATA))

    with pytest.raises(errors.InvalidInput, match="may have changed while it was sent"):
        client.upload("acme", file, change)
    with pytest.raises(errors.InvalidFile, match="cannot read"):
        client.upload("acme", file.with_name("none.csv"))
    file.write_bytes(b"")
    with pytest.raises(errors.InvalidFile, match="is empty"):
        client.upload("acme", file)
    with pytest.raises(errors.InvalidFile, match=r"'\.exe' tells no format"):
        client.upload("acme", "/bin/x.exe")


def test_only_operators_of_the_workspace_send_see_and_delete(backend: FakeBackend, file: Path) -> None:
    operator, _ = client_of(backend)
    operator.upload("acme", file)
    for key, workspace in ((PREDICTOR, "acme"), (OPERATOR, "other")):
        client, _ = client_of(backend, key)
        with pytest.raises(errors.Forbidden):
            client.upload(workspace, file)
        with pytest.raises(errors.Forbidden):
            client.uploads(workspace)
        with pytest.raises(errors.Forbidden):
            client.delete_upload(workspace, NAME)
    assert [one.name for one in operator.uploads("acme").uploads] == [NAME]
    assert operator.delete_upload("acme", NAME).whole
    assert operator.uploads("acme").uploads == []
    with pytest.raises(errors.NotFound, match="Send the file again"):
        operator.delete_upload("acme", NAME)


@pytest.mark.parametrize(
    "name", ["x.csv", "..%2f..%2fother", f"{'a' * 64}.exe", f"{'A' * 64}.csv", f"{'a' * 64}.csv%2fdata", "a" * 64]
)
def test_no_name_leads_out_of_the_folder(backend: FakeBackend, name: str) -> None:
    with httpx.Client(transport=AppTransport(app_of(backend)), base_url="http://tornio") as http:
        sent = http.put(
            f"/v1/workspaces/acme/uploads/{name}", json={"size": 1}, headers={"Authorization": f"Bearer {OPERATOR}"}
        )
    assert sent.status_code in (404, 405, 422)
    assert list(stored(backend).list("acme/uploads/")) == []


def with_task() -> MemoryStore:
    store = MemoryStore()
    Tasks(store).apply(TaskSpec.model_validate({"workspace": "acme", "name": "support", "labels": ["a", "b"]}), "test")
    return store


def test_a_file_for_a_workspace_without_a_task_is_refused() -> None:
    store = MemoryStore()
    audit = Auditor(MemoryStore(), lambda: NOW, asyncio.to_thread)
    uploads = StoreUploads(store, lambda: NOW, asyncio.to_thread, audit, UploadSettings())
    with pytest.raises(errors.NotFound, match=r"'acme' has no task.*Create a task"):
        asyncio.run(uploads.begin("acme", NAME, UploadIn(size=len(DATA)), "ops"))
    assert list(store.list("")) == []


def test_a_run_that_cannot_be_read_does_not_keep_others_from_sending_files() -> None:
    store, keys = with_task(), TaskKeys("acme", "support")
    audit = Auditor(MemoryStore(), lambda: NOW, asyncio.to_thread)
    uploads = StoreUploads(store, lambda: NOW - timedelta(days=99), asyncio.to_thread, audit, UploadSettings())
    asyncio.run(uploads.begin("acme", f"{'a' * 64}.csv", UploadIn(size=1), "ops"))
    documents.create(store, keys.run_ask("r1"), RunAsk(run="r1", job="score", who="ops", asked_at=NOW))
    store.put(keys.run("r1").plan, b'{"format": "run-plan", "schema": 99}')
    uploads.clock = lambda: NOW
    assert not asyncio.run(uploads.begin("acme", NAME, UploadIn(size=len(DATA)), "ops")).whole
    assert len(asyncio.run(uploads.all("acme")).uploads) == 2  # the run may need what is out of date


def test_a_large_file_is_put_together_while_the_client_asks_again() -> None:
    """The answer does not wait for the whole work, and a second request waits for the same work."""
    store, held = with_task(), Event()

    def slow(operation: str, key: str) -> None:
        if operation == "put_pieces":
            held.wait(30)

    async def play() -> None:
        audit = Auditor(MemoryStore(), lambda: NOW, asyncio.to_thread)
        uploads = StoreUploads(store, lambda: NOW, asyncio.to_thread, audit, UploadSettings(), joining_s=0.01)
        upload = await uploads.begin("acme", NAME, UploadIn(size=len(DATA)), "ops")
        for part in upload.missing:
            await uploads.put_part("acme", NAME, part, DATA[part * PART_BYTES : (part + 1) * PART_BYTES])
        store.before = slow
        assert not (await uploads.complete("acme", NAME, "ops")).whole
        assert not (await uploads.complete("acme", NAME, "ops")).whole
        held.set()
        while not (await uploads.complete("acme", NAME, "ops")).whole:
            await asyncio.sleep(0)

    asyncio.run(play())
    assert [info.key for info in store.list("acme/uploads/")] == [
        UploadKeys("acme", NAME).data,
        UploadKeys("acme", NAME).document,
    ]


def test_a_run_over_a_file_of_this_machine_sends_it_first(task: Tornio, backend: FakeBackend, file: Path) -> None:
    words = ("run", "score", TASK, "--data", str(file), "--cross-validate", "5")
    code, out, err = task(*words)
    assert (code, err) == (0, "")
    assert "is waiting" in out
    assert backend.runs.asked == [ScoreRequest(data=f"upload:{NAME}", folds=5)]
    assert stored(backend).get(UploadKeys("acme", NAME).data).body == DATA
    listed = answer(task("uploads", "acme", "--json"))
    assert [one["file"] for one in listed["uploads"]] == [file.name]
    out = task("uploads", "acme")[1]
    assert NAME in out
    assert "100.0 MiB are used" in out
    assert task("uploads", "acme", "--delete", file.name)[1] == f"deleted {NAME} ({file.name})\n"
    assert json.loads(task("uploads", "acme", "--json")[1])["bytes"] == 0


def test_what_cannot_be_sent_is_told_before_anything_is(task: Tornio, backend: FakeBackend, tmp_path: Path) -> None:
    assert "is a folder" in task("run", "score", TASK, "--data", str(tmp_path))[2]
    assert "no file" in task("run", "score", TASK, "--data", str(tmp_path / "none.csv"))[2]
    assert (backend.runs.asked, list(stored(backend).list("acme/uploads/"))) == ([], [])
