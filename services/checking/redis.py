"""The checks of the Redis that keeps Ray's state: as a Service of the cluster, and by its address."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from tornio.errors import NotFound
from tornio.findings import Finding, missing, ok, unknown
from tornio.kube.port import SERVICE, KubeApi

PORT = 6379
_CONNECT_S = 5.0
_TODO = (
    "correct ray.gcsFaultTolerance.redisAddress (host:port), or start that Redis: the head does not start without it"
)


def split(address: str) -> tuple[str, int]:
    """Return host and port of ``host:port``, ``[IPv6]:port`` or ``redis://host:port``."""
    rest = address.rpartition("://")[2]
    try:
        parts = urlsplit(f"//{rest}")
        return parts.hostname or "", parts.port or PORT
    except ValueError:  # a port that is none, or half a pair of brackets
        return rest.partition(":")[0], PORT


def service_of(address: str, namespace: str) -> tuple[str, str] | None:
    """Return name and namespace of the Service that an address names: ``redis``, ``redis.data``, ``redis.data.svc``.

    None for an address outside of the cluster. One with a single dot could be either; it counts as a Service.
    """
    host = split(address)[0]
    labels = host.split(".")
    if ":" in host:  # IPv6
        return None
    if len(labels) <= 2 or labels[2] == "svc":
        return labels[0], labels[1] if len(labels) > 1 else namespace
    return None


def check_service(api: KubeApi, address: str, name: str, namespace: str) -> Finding:
    """Check that the Service exists and has the port. Raises Forbidden."""
    what, (host, port) = f"Redis at {address}", split(address)
    try:
        service = api.get(SERVICE, name, namespace)
    except NotFound:
        if "." in host and _resolves(host, port):
            return ok(what, "its name resolves")
        return missing(what, f"there is no Service {name} in namespace {namespace}", _TODO)
    ports = [one["port"] for one in service["spec"].get("ports") or ()]
    if ports and port not in ports:
        return missing(what, f"the Service has the ports {', '.join(map(str, ports))}, not {port}", _TODO)
    return ok(what, "it is a Service of the cluster")


def check_address(address: str, inside: bool) -> Finding:
    """Check that the name resolves and that the port answers. Another place than a pod may see neither."""
    what, (host, port) = f"Redis at {address}", split(address)
    try:
        socket.create_connection((host, port), timeout=_CONNECT_S).close()
    except OSError as error:
        found = "its port does not answer" if _resolves(host, port) else "its name does not resolve"
        if inside:
            return missing(what, f"{found} ({error})", _TODO)
        todo = "check it from where the pods run: kubectl exec into a serving pod and run `tornio deploy check` there"
        return unknown(what, f"{found} from here ({error})", todo)
    return ok(what, "its port answers")


def _resolves(host: str, port: int) -> bool:
    try:
        return bool(socket.getaddrinfo(host, port))
    except OSError:
        return False
