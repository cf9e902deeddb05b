"""Serve's replicas listen on 127.0.0.1 alone, for ``tornio up``.

A replica takes what other deployments say to it by gRPC, on all addresses of the machine; Serve has no setting for it.
It takes nothing without Ray's token, but an open port is one more thing that may be wrong. Ray calls `install` in each
of its workers before anything else happens there: see ``worker_process_setup_hook`` in Ray's documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

HOOK = "services.loopback.install"
_EVERYWHERE = "[::]:"


def install() -> None:
    """Let gRPC servers that Serve starts in this process listen on 127.0.0.1. Call it before Serve is imported."""
    from ray._common import tls_utils

    original: Callable[[Any, str], Any] = tls_utils.add_port_to_grpc_server

    def add_local_port(server: Any, address: str) -> Any:
        return original(server, local(address))

    tls_utils.add_port_to_grpc_server = add_local_port


def local(address: str) -> str:
    """Return the address on 127.0.0.1 for one that means all addresses."""
    return address.replace(_EVERYWHERE, "127.0.0.1:", 1) if address.startswith(_EVERYWHERE) else address
