"""Every port that `tornio up` opens: where it listens, what protects it, and that it answers nobody without that."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
import httpx
import psutil
import pytest

from tests.running import Running, spec

pytestmark = pytest.mark.integration

CERTIFICATE = "mutual TLS with a certificate of this start"
RAY_TOKEN = "Ray's token"
TABLE = {
    "api": "API key",
    "dashboard": RAY_TOKEN,
    "argilla": "login or Argilla's key",
    "valkey": "password",
    "seaweedfs_s3": "S3 signature",
    "seaweedfs_master": "HTTP is switched off",
    "seaweedfs_volume": "signed requests alone",
    "seaweedfs_filer": "HTTP is switched off",
    "seaweedfs_s3_grpc": CERTIFICATE,
    "seaweedfs_master_grpc": CERTIFICATE,
    "seaweedfs_volume_grpc": CERTIFICATE,
    "seaweedfs_filer_grpc": CERTIFICATE,
    "gcs_server": RAY_TOKEN,
    "raylet": RAY_TOKEN,
    "ray worker": RAY_TOKEN,
    "ray agent": RAY_TOKEN,
    "ray monitor": "nothing: it shows numbers about the machine",
    "ray driver": RAY_TOKEN,
}
"""What listens, and what it asks for. A listener that is not here fails the test."""

OPEN = {
    "api": {"/healthz", "/readyz", "/docs", "/openapi.json"},  # for probes and readers; none shows a task
    "argilla": {"/", "/docs", "/healthz", "/readyz", "/status", "/metrics", "/openapi.json"},  # its page, any path
    "dashboard": {"/"},  # an empty page, which asks for the token
    "ray worker": {"/api/local_raylet_healthz"},
    "ray agent": {"/api/local_raylet_healthz"},
    "seaweedfs_master": {"/", "/healthz", "/readyz"},
    "seaweedfs_volume": {"/status", "/healthz", "/readyz"},
    "seaweedfs_s3": {"/status", "/healthz", "/readyz"},
}
"""Pages that tell whether a part is well and hold nothing of users."""

PATHS = (
    *("/", "/docs", "/openapi.json", "/healthz", "/readyz", "/status", "/metrics", "/debug/pprof/", "/stats/memory"),
    *("/dir/status", "/dir/assign", "/vol/status", "/col/delete?collection=nothing", "/buckets/", "/tornio/", "/1,01"),
    *("/v1/tasks", "/api/v1/me", "/api/v1/users", "/api/v1/workspaces", "/api/jobs/", "/api/v0/tasks", "/nodes"),
    *("/logical/actors", "/api/serve/applications/", "/api/cluster_status", "/worker/traceback"),
    "/api/local_raylet_healthz",
)
CALLS = (
    *("/master_pb.Seaweed/VolumeList", "/master_pb.Seaweed/CollectionDelete"),
    *("/volume_server_pb.VolumeServer/VolumeServerStatus", "/filer_pb.SeaweedFiler/ListEntries"),
    *("/filer_pb.SeaweedFiler/GetFilerConfiguration", "/messaging_pb.SeaweedS3/Configure"),
    *("/ray.rpc.NodeInfoGcsService/GetAllNodeInfo", "/ray.rpc.JobInfoGcsService/GetAllJobInfo"),
    *("/ray.rpc.InternalKVGcsService/InternalKVKeys", "/ray.rpc.NodeManagerService/GetNodeStats"),
    *("/ray.rpc.CoreWorkerService/GetCoreWorkerStats", "/ray.rpc.CoreWorkerService/PushTask"),
    *("/ray.rpc.RuntimeEnvService/GetOrCreateRuntimeEnv", "/ray.rpc.ReporterService/GetTraceback"),
    *("/ray.rpc.LogService/ListLogs", "/ray.serve.ASGIService/HandleRequest"),
    "/ray.serve.ASGIService/HandleRequestWithRejection",
)
REFUSED = {
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAVAILABLE,  # it ended the connection: TLS, or no gRPC
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.UNKNOWN,  # HTTP/1 in answer to HTTP/2
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}


ASKED_AT_ONCE = 8
"""Most questions end with a time-out."""


@dataclass(frozen=True)
class Listener:
    kind: str
    ip: str
    port: int
    process: str


@pytest.fixture(scope="module")
def listeners(tornio_up: Running) -> list[Listener]:
    """Every TCP port on which a process of this `tornio up` listens."""
    named = {port: name for name, port in tornio_up.everything.stack.ports.items()}
    return sorted(
        {listener for child in tornio_up.everything.stack.supervisor.children for listener in _of(child.pid, named)},
        key=lambda one: one.port,
    )


def _of(pid: int, named: dict[int, str]) -> Iterator[Listener]:
    for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        try:
            words, found = " ".join(process.cmdline()), process.net_connections("tcp")
        except psutil.NoSuchProcess:  # it has ended meanwhile
            continue
        for one in found:
            if one.status == psutil.CONN_LISTEN:
                kind = named.get(one.laddr.port) or _kind(words)
                yield Listener(kind, one.laddr.ip, one.laddr.port, words[:80])


def _kind(words: str) -> str:
    patterns = {
        r"gcs_server": "gcs_server",
        r"raylet/raylet": "raylet",
        r"^ray::|default_worker": "ray worker",
        r"autoscaler/_private/monitor": "ray monitor",
        r"dashboard|runtime_env|agent": "ray agent",
        r"services\.embedded\.serving": "ray driver",
    }
    return next((kind for pattern, kind in patterns.items() if re.search(pattern, words)), f"unknown: {words[:200]}")


def test_every_listener_is_known_and_on_loopback(listeners: list[Listener]) -> None:
    assert [one for one in listeners if one.kind not in TABLE] == []
    assert {name for name in TABLE if name.startswith("seaweedfs")} <= {one.kind for one in listeners}
    assert [one for one in listeners if not _is_loopback(one.ip)] == []


def _is_loopback(ip: str) -> bool:
    address = ipaddress.ip_address(ip)
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def test_no_page_is_shown_without_a_credential(listeners: list[Listener]) -> None:
    asked = [(one, path) for one in listeners if one.kind != "valkey" for path in PATHS]
    with ThreadPoolExecutor(ASKED_AT_ONCE) as threads:
        found = list(threads.map(lambda pair: _shows(*pair), asked))
    shown = {(one.kind, one.port, path) for (one, path), shows in zip(asked, found, strict=True) if shows}
    assert {row for row in shown if row[2] not in OPEN.get(row[0], ())} == set()


def _shows(listener: Listener, path: str) -> bool:
    try:
        answer = httpx.get(f"http://127.0.0.1:{listener.port}{path}", timeout=3)
    except (httpx.TransportError, httpx.InvalidURL):
        return False
    if listener.kind == "argilla" and "text/html" in answer.headers.get("content-type", ""):
        return False  # the web page, which is the same for every path
    if listener.kind.startswith("ray") and answer.text.startswith(("# HELP", "# TYPE")):
        return False  # Ray's exporters have no authentication; they show numbers about the machine on every path
    return answer.is_success


def test_no_call_is_answered_without_a_credential(listeners: list[Listener]) -> None:
    asked = [(one, call) for one in listeners for call in CALLS]
    with ThreadPoolExecutor(ASKED_AT_ONCE) as threads:
        said = list(threads.map(lambda pair: _answers(pair[0].port, pair[1]), asked))
    answered = [(one.kind, one.port, call, what) for (one, call), what in zip(asked, said, strict=True) if what]
    assert answered == []


def _answers(port: int, call: str) -> str:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            return repr(channel.unary_unary(call)(b"", timeout=2))
        except grpc.RpcError as error:
            code = error.code()
            return "" if code in REFUSED else f"{code.name}: {error.details()}"


def test_valkey_asks_for_its_password(tornio_up: Running) -> None:
    with socket.create_connection(("127.0.0.1", tornio_up.everything.stack.ports["valkey"]), timeout=60) as connection:
        connection.sendall(b"KEYS *\r\n")
        assert connection.recv(100).startswith(b"-NOAUTH")


def test_the_bucket_survives_who_asks_the_master_to_delete_it(tornio_up: Running) -> None:
    """The way in which any page of the web could destroy all data."""
    at, task_ports = tornio_up.addresses, tornio_up.everything.stack.ports
    tornio_up.client.apply(spec("survivor"))
    before = _names(tornio_up)
    for part in ("master", "volume", "filer"):
        for method in ("GET", "POST", "DELETE"):
            url = f"http://127.0.0.1:{task_ports[f'seaweedfs_{part}']}/col/delete?collection={at.s3_bucket}"
            assert httpx.request(method, url, timeout=60).status_code in (400, 401, 403, 404, 405)
    assert _names(tornio_up) == before


def _names(tornio_up: Running) -> set[tuple[str, str]]:
    """What the bucket has. The loops of other tests' tasks go on meanwhile."""
    return {(task.workspace, task.task) for task in tornio_up.client.tasks()}


def test_argilla_gives_no_other_page_a_login(tornio_up: Running) -> None:
    url, origin = f"{tornio_up.addresses.argilla_url}/api/v1/version", {"Origin": "https://evil.example"}
    answer = httpx.get(url, headers=origin, timeout=60)
    assert "access-control-allow-origin" not in answer.headers


def test_the_api_asks_for_its_key(tornio_up: Running) -> None:
    assert httpx.get(f"{tornio_up.url}/v1/tasks", timeout=60).status_code == 401
    session = json.loads(tornio_up.everything.session_file.read_text())
    headers = {"Authorization": f"Bearer {session['api_key']}"}
    assert httpx.get(f"{tornio_up.url}/v1/tasks", headers=headers, timeout=60).status_code == 200
