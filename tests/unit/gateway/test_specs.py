"""A PUT of a spec: read beside the event loop, within bounds, and refused briefly."""

from __future__ import annotations

import asyncio
import threading

import httpx
import pytest

from services.gateway import tasks
from tests.unit.gateway.fake import OPERATOR, FakeBackend, app_of
from tornio.spec import TaskSpec
from tornio.specfile import read_spec

pytestmark = pytest.mark.unit

HEADERS = {"Authorization": f"Bearer {OPERATOR}", "Content-Type": "application/yaml"}
SPEC = "workspace: acme\nname: notes\nlabels: [a, b]\n"


def test_others_are_answered_while_a_spec_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, answered = threading.Event(), threading.Event()

    def slow(text: str, where: str) -> TaskSpec:
        reading.set()
        assert answered.wait(60)
        return read_spec(text, where)

    async def both() -> httpx.Response:
        transport = httpx.ASGITransport(app_of(FakeBackend()))
        async with httpx.AsyncClient(transport=transport, base_url="http://tornio", headers=HEADERS) as client:
            applying = asyncio.create_task(client.put("/v1/tasks/acme/notes", content=SPEC))
            while not reading.is_set():
                await asyncio.sleep(0)
            assert (await client.get("/healthz")).status_code == 200
            answered.set()
            return await applying

    monkeypatch.setattr(tasks, "read_spec", slow)
    assert asyncio.run(both()).json()["created"]


@pytest.mark.parametrize("kind", ["application/yaml", "application/json"])
@pytest.mark.parametrize(
    "body", ["[" * 100_000, "a" * 4_000_000, SPEC + "x: " + "y" * 1_000_000, '{"' + "x" * 1_000_000 + '": 1}']
)
def test_a_refusal_is_short(kind: str, body: str) -> None:
    async def put() -> httpx.Response:
        transport = httpx.ASGITransport(app_of(FakeBackend()))
        async with httpx.AsyncClient(transport=transport, base_url="http://tornio", headers=HEADERS) as client:
            return await client.put("/v1/tasks/acme/notes", content=body, headers={"Content-Type": kind})

    answer = asyncio.run(put())
    assert answer.status_code == 422
    assert len(answer.content) < 10_000
