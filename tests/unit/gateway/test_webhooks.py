"""Argilla's webhook: a signed event wakes the tasks of its data set, all else is refused or ignored."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from services.gateway.app import create_app
from services.gateway.auth import FixedKeys, KeyRing, read_keys
from services.gateway.intake import MAX_EVENT_BYTES
from services.gateway.webhooks import MOST_AT_ONCE, PATH, Webhook, WebhookSettings
from tests.unit.gateway.fake import KEYS, AppTransport, FakeBackend
from tornio.errors import Unavailable

pytestmark = pytest.mark.unit

SECRET = base64.b64encode(bytes(range(64))).decode()
"""As Argilla makes them: 64 bytes, no prefix."""
DATASET = {"name": "support", "workspace": {"name": "acme"}}


def event(kind: str = "response.created", dataset: object = None, **also: object) -> bytes:
    record = {"fields": {"text": "hello"}, "dataset": dataset or DATASET} | also
    return json.dumps({"type": kind, "data": {"values": {"label": {"value": "bug"}}, "record": record}}).encode()


def signed(body: bytes, secret: str = SECRET, late: float = 0.0) -> dict[str, str]:
    stamp = str(int(time.time() - late))
    digest = hmac.new(base64.b64decode(secret), f"msg_1.{stamp}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": signature}


class Server:
    """The app, and the data sets that it has told of."""

    def __init__(self, settings: WebhookSettings | None = None, fails: Exception | None = None) -> None:
        self.woken: list[tuple[str, str]] = []
        self.fails = fails
        webhook = Webhook(settings or WebhookSettings(secret=SecretStr(SECRET)), self._wake)
        self.app = app_with(webhook)

    async def _wake(self, workspace: str, dataset: str) -> None:
        if self.fails is not None:
            raise self.fails
        self.woken.append((workspace, dataset))

    def send(self, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
        given = signed(body) if headers is None else headers
        with httpx.Client(transport=AppTransport(self.app), base_url="http://tornio") as http:
            return http.post(PATH, content=body, headers=given | {"Content-Type": "application/json"})


def app_with(webhook: Webhook | None) -> FastAPI:
    return create_app(FakeBackend(), KeyRing(FixedKeys(read_keys(KEYS, "keys"))), webhook=webhook)


def test_an_answer_wakes_its_task_without_an_api_key() -> None:
    server = Server()
    answer = server.send(event())
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert server.woken == [("acme", "support")]


def test_a_copy_of_an_event_only_wakes_again() -> None:
    server, body = Server(), event()
    headers = signed(body)
    assert [server.send(body, headers).status_code for _ in range(3)] == [200] * 3
    assert server.woken == [("acme", "support")] * 3


def test_other_events_are_taken_and_ignored() -> None:
    server = Server()
    assert server.send(json.dumps({"type": "ping", "data": {"agent": "argilla-server"}}).encode()).status_code == 200
    assert server.woken == []


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (dict, "not signed"),
        (lambda: signed(event()) | {"webhook-signature": "v1,AAAA"}, "not by the secret"),
        (lambda: signed(event(), base64.b64encode(b"x" * 64).decode()), "not by the secret"),
        (lambda: signed(event("response.deleted")), "not by the secret"),
        (lambda: signed(event(), late=400), "s old"),
        (lambda: signed(event(), late=-400), "s ahead"),
        (lambda: signed(event()) | {"Authorization": "Bearer unknown", "webhook-id": "msg_2"}, "not by the secret"),
    ],
)
def test_an_event_that_is_not_argillas_is_refused(headers: Callable[[], dict[str, str]], said: str) -> None:
    server = Server()
    answer = server.send(event(), headers())
    assert answer.status_code == 401
    assert said in answer.json()["detail"]
    assert SECRET not in answer.text
    assert server.woken == []


def test_a_signed_body_that_is_no_event_is_told() -> None:
    server = Server()
    answer = server.send(event(dataset={"name": "support"}))
    assert answer.status_code == 422
    assert "record.dataset.workspace" in answer.json()["detail"]
    assert server.woken == []


def test_a_huge_event_is_refused() -> None:
    server = Server()
    assert server.send(event(fields={"text": "\N{PILE OF POO}" * 100_000})).status_code == 200
    assert server.send(event(fields={"text": "x" * MAX_EVENT_BYTES})).status_code == 413
    assert len(server.woken) == 1


def test_without_a_secret_the_answer_says_what_to_set() -> None:
    for server in (Server(WebhookSettings(secret=None)), None):
        app = app_with(None) if server is None else server.app
        with httpx.Client(transport=AppTransport(app), base_url="http://tornio") as http:
            answer = http.post(PATH, content=event(), headers=signed(event()))
        assert answer.status_code == 404
        assert "TORNIO_ARGILLA_WEBHOOK_SECRET" in answer.json()["detail"]


def test_the_file_of_the_secret_may_come_later_and_be_replaced(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    server = Server(WebhookSettings(secret_file=file))
    missing = server.send(event())
    assert missing.status_code == 503
    assert str(file) in missing.json()["detail"]
    file.write_text("broken\n")
    broken = server.send(event())
    assert broken.status_code == 503
    assert "broken" not in broken.json()["detail"]
    file.write_text(f"whsec_{SECRET}\n")
    assert server.send(event()).status_code == 200
    other = base64.b64encode(b"y" * 64).decode()
    file.write_text(other)
    assert server.send(event()).status_code == 401
    assert server.send(event(), signed(event(), other)).status_code == 200


def test_the_secret_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORNIO_ARGILLA_WEBHOOK_SECRET", SECRET)
    settings = WebhookSettings()
    assert settings.key() == bytes(range(64))
    assert SECRET not in repr(settings)


def test_while_the_controller_is_away_argilla_is_told() -> None:
    answer = Server(fails=Unavailable("The controller did not answer within 2 s. Try again.")).send(event())
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"


def test_bodies_that_do_not_arrive_leave_room_for_others() -> None:
    """Whoever has no secret can only hold the room of events, and loses it with the connection."""
    server, body = Server(), event()
    headers: dict[str, str] = signed(body)

    async def run() -> tuple[list[int], int]:
        gate, inside = asyncio.Event(), asyncio.Semaphore(0)

        async def slow() -> AsyncIterator[bytes]:
            inside.release()
            await gate.wait()
            yield body

        transport = httpx.ASGITransport(server.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://tornio", headers=headers) as http:
            held: list[asyncio.Task[Any]] = []
            for _ in range(MOST_AT_ONCE):
                held.append(asyncio.create_task(http.post(PATH, content=slow())))
                await inside.acquire()
            refused = await http.post(PATH, content=body)
            alive = await http.get("/healthz")
            gate.set()
            statuses = [(await one).status_code for one in held]
            after = await http.post(PATH, content=body)
        return [refused.status_code, alive.status_code, after.status_code], len([s for s in statuses if s == 200])

    assert asyncio.run(run()) == ([503, 200, 200], MOST_AT_ONCE)
