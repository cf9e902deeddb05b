"""What is wrong with the bucket, the base models in it, Argilla, API keys and Redis is told, with what to do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from services.checking import Finding, Level, Wants, check_outside, merged
from services.checking.redis import service_of, split
from tornio.errors import Forbidden
from tornio.registry import Encoders
from tornio.schemas import keys
from tornio.schemas.registry import EncoderName
from tornio.storage import documents
from tornio.storage.memory import MemoryStore
from tornio.storage.port import ObjectStore

pytestmark = pytest.mark.unit

BUCKET = {"TORNIO_S3_BUCKET": "labels"}
KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    made = MemoryStore()
    monkeypatch.setattr("services.checking.outside.check_bucket", lambda settings: None)
    monkeypatch.setattr("services.checking.outside.open_store", lambda settings: made)
    return made


def of(what: str, findings: Iterator[Finding]) -> Finding:
    (found,) = (one for one in findings if one.what.startswith(what))
    assert found.todo or found.level is Level.OK
    return found


@pytest.mark.parametrize(("keys", "level"), [({}, Level.UNKNOWN), (KEYS, Level.MISSING)])
def test_a_bucket_that_the_pods_account_may_use_is_not_missing_for_a_shell_that_may_not(
    monkeypatch: pytest.MonkeyPatch, keys: dict[str, str], level: Level
) -> None:
    def refuse(settings: object) -> ObjectStore:
        raise Forbidden("no credentials")

    monkeypatch.setattr("services.checking.outside.check_bucket", refuse)
    bucket = of("S3", check_outside(BUCKET | keys))
    assert (bucket.level, bucket.found) == (level, "no credentials")
    assert of("S3", check_outside(BUCKET | keys, inside=True)).level is Level.MISSING


class Careless(MemoryStore):
    """Lets everybody win."""

    def put_if_absent(self, key: str, body: bytes) -> str:
        return self.put(key, body)


@pytest.mark.parametrize(
    ("made", "level", "says"),
    [
        (MemoryStore(), Level.OK, "exactly one of several concurrent writers wins"),
        (Careless(), Level.MISSING, "4 of 4 concurrent writers won"),
    ],
)
def test_conditional_writes_are_raced(
    monkeypatch: pytest.MonkeyPatch, store: MemoryStore, made: ObjectStore, level: Level, says: str
) -> None:
    monkeypatch.setattr("services.checking.outside.open_store", lambda settings: made)
    bucket = of("S3", check_outside(BUCKET))
    assert bucket.level is level
    assert says in bucket.found


class NoBucket(BaseHTTPRequestHandler):
    """An S3 server without this bucket, which would make one with the first object."""

    asked: list[str]

    def answer(self) -> None:
        self.asked.append(self.command)
        self.send_response(404 if self.command == "HEAD" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - as http.server calls them

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_bucket_that_is_missing_is_not_made() -> None:
    NoBucket.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), NoBucket)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        endpoint = f"http://127.0.0.1:{server.server_port}"
        bucket = of("S3", check_outside(BUCKET | KEYS | {"TORNIO_S3_ENDPOINT": endpoint}))
    finally:
        server.shutdown()
        server.server_close()
    assert bucket.level is Level.MISSING
    assert "does not exist. Create it" in bucket.found
    assert NoBucket.asked == ["HEAD"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"AWS_ACCESS_KEY_ID": "x"}, "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY"),
        ({"AWS_SECRET_ACCESS_KEY": "x"}, "AWS_SECRET_ACCESS_KEY is set without AWS_ACCESS_KEY_ID"),
        (KEYS | {"AWS_SECRET_ACCESS_KEY": "x\n"}, "AWS_SECRET_ACCESS_KEY begin or end with a space or newline"),
        ({"TORNIO_S3_PREFIX": "a/../b"}, "the prefix 'a/../b' has"),
    ],
)
def test_settings_that_cannot_be_right_are_not_tried(store: MemoryStore, given: dict[str, str], says: str) -> None:
    bucket = of("S3", check_outside(BUCKET | given))
    assert bucket.level is Level.MISSING
    assert says in bucket.found


def test_keys_of_the_shell_and_of_the_deployment_are_not_mixed() -> None:
    assert merged(KEYS | BUCKET, {"AWS_ACCESS_KEY_ID": "mine"}) == BUCKET | {"AWS_ACCESS_KEY_ID": "mine"}
    assert merged(KEYS | BUCKET, {"AWS_ACCESS_KEY_ID": "", "TORNIO_S3_BUCKET": ""}) == KEYS | BUCKET
    assert merged(BUCKET, {"TORNIO_S3_ENDPOINT": "http://s3"}) == BUCKET | {"TORNIO_S3_ENDPOINT": "http://s3"}


def test_a_base_model_that_is_not_in_the_bucket(store: MemoryStore) -> None:
    wants = Wants(encoders=frozenset({"minilm", "org/nli", "s3://models/nli"}))
    assert of("Base model minilm", check_outside(BUCKET, wants)).level is Level.NOTE  # the image may have it
    lacking = of("Base model org/nli", check_outside(BUCKET, wants))
    assert lacking.level is Level.MISSING
    assert "tornio encoders add" in lacking.todo
    assert of("Base model s3://", check_outside(BUCKET, wants)).level is Level.MISSING
    store.put("config.json", b"{}")
    digest = "a" * 64
    name = EncoderName(name="org/nli", digest=digest, layer=-1, added_at=datetime(2026, 1, 1, tzinfo=UTC))
    documents.create(store, keys.encoder_name(_digest_of("org/nli")), name)
    assert of("Base model org/nli", check_outside(BUCKET, wants)).level is Level.MISSING  # its document is gone
    store.put(keys.encoder(digest), b"{}")
    assert Encoders(store).named("org/nli") is not None
    for what in ("Base model org/nli", "Base model s3://"):
        assert of(what, check_outside(BUCKET, wants)).level is Level.OK


def _digest_of(name: str) -> str:
    from hashlib import sha256

    return sha256(name.encode()).hexdigest()[:32]


@pytest.mark.parametrize(
    ("text", "level", "says"),
    [
        ("{no json", Level.MISSING, "is not JSON"),
        ('{"name": "a"}', Level.MISSING, "list"),
        ("[]", Level.NOTE, "there are none"),
        ('[{"name": "a", "key": "0123456789abcdef", "workspaces": ["*"], "role": "operate"}]', Level.OK, "1 keys"),
    ],
)
def test_the_file_of_api_keys_is_read(store: MemoryStore, text: str, level: Level, says: str) -> None:
    found = of("API keys", check_outside(BUCKET | {"TORNIO_API_KEYS": text}))
    assert found.level is level
    assert says in found.found
    assert "0123456789abcdef" not in found.found


def test_what_is_reached_from_inside_alone_is_not_missing_outside() -> None:
    environment = BUCKET | KEYS
    environment |= {"TORNIO_S3_ENDPOINT": "http://127.0.0.1:1", "TORNIO_ARGILLA_URL": "http://127.0.0.1:1"}
    for finding in check_outside(environment):
        assert finding.level is Level.UNKNOWN
        assert "kubectl exec" in finding.todo
    assert {finding.level for finding in check_outside(environment, inside=True)} == {Level.MISSING}


@pytest.mark.parametrize(
    ("address", "service"),
    [
        ("redis:6379", ("redis", "team")),
        ("redis.data:6379", ("redis", "data")),
        ("redis://redis.data.svc.cluster.local:6379", ("redis", "data")),
        ("redis.acme.example:6379", None),
        ("[fd00::1]:6379", None),
        ("10.0.0.7:6379", None),
    ],
)
def test_which_service_an_address_names(address: str, service: tuple[str, str] | None) -> None:
    assert service_of(address, "team") == service


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("redis:6380", "redis", 6380),
        ("redis", "redis", 6379),
        ("redis://10.0.0.1:6380", "10.0.0.1", 6380),
        ("[fd00::1]:6380", "fd00::1", 6380),
        ("redis://[fd00::1]", "fd00::1", 6379),
        ("redis:port", "redis", 6379),
        ("[fd00:6379", "[fd00", 6379),
    ],
)
def test_host_and_port_of_an_address(address: str, host: str, port: int) -> None:
    assert split(address) == (host, port)


def test_a_redis_that_does_not_answer(store: MemoryStore) -> None:
    name = Wants(redis="redis.acme.invalid:6379")
    assert of("Redis", check_outside(BUCKET, name)).level is Level.UNKNOWN
    inside = of("Redis", check_outside(BUCKET, name, inside=True))
    assert inside.level is Level.MISSING
    assert "its name does not resolve" in inside.found
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = Wants(redis=f"127.0.0.1:{server.getsockname()[1]}")
        assert of("Redis", check_outside(BUCKET, there)).level is Level.OK
    assert "its port does not answer" in of("Redis", check_outside(BUCKET, there, inside=True)).found
    assert not [one for one in check_outside(BUCKET, Wants(redis="redis:6379")) if one.what.startswith("Redis")]
