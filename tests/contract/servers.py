"""S3 servers for tests, on 127.0.0.1 and a free port, ended by who started them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

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
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        client = boto3.session.Session(KEY, SECRET, region_name="us-east-1").client("s3", endpoint_url=endpoint)
        client.create_bucket(Bucket=BUCKET)
        yield endpoint
    finally:
        server.stop()


@contextmanager
def seaweedfs(folder: Path) -> Iterator[str]:
    store = ObjectStore(folder / "s3", ports.assign(folder / "ports.json", PORTS), KEY, SECRET, bucket=BUCKET)
    with Supervisor(folder / "state") as supervisor:
        child = supervisor.start(store.program())
        supervisor.wait_ready(child, store.ready, store.timeout_s)
        store.settle()
        yield store.endpoint
    store.clean()
