"""The app with a backend in memory on a real server, for what only shows on a connection."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from services.gateway.app import create_app
from services.gateway.auth import FixedKeys, KeyRing, read_keys
from services.gateway.webhooks import Webhook, WebhookSettings
from tests.unit.gateway.fake import KEYS, FakeBackend, FakeTask
from tornio.api import RunOut, TaskName
from tornio.spec import TaskSpec

SPEC = TaskSpec.model_validate({"workspace": "acme", "name": "support", "labels": ["a", "b"]})


async def _nobody(workspace: str, dataset: str) -> None:
    return None


@contextmanager
def served(body_seconds: float = 60, keys: str = KEYS, most_per_client: int = 48) -> Iterator[int]:
    """Serve the task acme/support, which can predict, on 127.0.0.1. Yields the port."""
    backend = FakeBackend({TaskName("acme", "support"): FakeTask(SPEC)})
    backend.serve("acme/support", "v2", 2, "v1")
    backend.runs.held["acme/support"] = [RunOut(run="score-1", job="score", state="running", attempt=1)]
    ring = KeyRing(FixedKeys(read_keys(keys, "keys")), insecure=True)
    secret = SecretStr(base64.b64encode(bytes(64)).decode())
    webhook = Webhook(WebhookSettings(secret=secret), _nobody)
    app = create_app(backend, ring, most_per_client=most_per_client, body_seconds=body_seconds, webhook=webhook)
    with listening(app) as port:
        yield port


@contextmanager
def listening(app: FastAPI) -> Iterator[int]:
    """Serve an app on a free port of 127.0.0.1. Yields the port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
