"""S3 servers for tests, on 127.0.0.1 and a free port, ended by who started them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, Thread
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from services.embedded import ports
from services.embedded.objectstore import PORTS, ObjectStore
from services.embedded.supervisor import Supervisor
from tornio.settings import StorageSettings

BUCKET = "tornio-test"
KEY, SECRET = "test", "test-secret"


def use_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys of these servers, where boto3 looks for keys."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


def settings(endpoint: str, prefix: str = "", bucket: str = BUCKET, retry_seconds: float = 5.0) -> StorageSettings:
    return StorageSettings(bucket=bucket, prefix=prefix, endpoint=endpoint, retry_seconds=retry_seconds)


@contextmanager
def moto() -> Iterator[str]:
    """moto's S3, one request at a time: it looks for a condition and writes in two steps, without a lock."""
    app = _one_at_a_time(DomainDispatcherApplication(create_backend_app))
    server = make_server(ports.HOST, 0, app, threaded=True, request_handler=MotoRequestHandler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        endpoint = f"http://{ports.HOST}:{server.server_port}"
        client = boto3.session.Session(KEY, SECRET, region_name="us-east-1").client("s3", endpoint_url=endpoint)
        client.create_bucket(Bucket=BUCKET)
        yield endpoint
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _one_at_a_time(app: WSGIApplication) -> WSGIApplication:
    lock = Lock()

    def locked(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with lock:
            return list(app(environ, start_response))

    return locked


@contextmanager
def seaweedfs(folder: Path) -> Iterator[str]:
    store = ObjectStore(folder / "s3", ports.assign(folder / "ports.json", PORTS), KEY, SECRET, bucket=BUCKET)
    with Supervisor(folder / "state") as supervisor:
        child = supervisor.start(store.program())
        supervisor.wait_ready(child, store.ready, store.timeout_s)
        store.settle()
        yield store.endpoint
    store.clean()
