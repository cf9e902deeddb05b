"""An HTTP proxy that fails as told: answers lost, connections dropped, errors made up, bodies cut."""

from __future__ import annotations

import http.client
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Reply:
    """What the server behind the proxy said."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


Forward = Callable[[], Reply]
Fault = Callable[[Forward], Reply | None]
"""Makes a reply, or None: the connection breaks without one. Calling ``forward`` lets the request take effect."""


def lose_answer(forward: Forward) -> None:
    """The request is carried out; nobody hears of it."""
    forward()


def drop(forward: Forward) -> None:
    """The request never arrives."""


def cut_body(forward: Forward) -> Reply:
    """The connection breaks in the middle of the body."""
    reply = forward()
    return Reply(reply.status, reply.headers, reply.body[: len(reply.body) // 2])


def refuse(
    status: int,
    code: str,
    before: Callable[[], Any] = lambda: None,
    carried_out: bool = False,
    message: str = "made up",
) -> Fault:
    """Answer with an S3 error; ``before`` runs first, ``carried_out`` lets the request take effect all the same."""

    def fault(forward: Forward) -> Reply:
        before()
        if carried_out:
            forward()
        body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        return Reply(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))], body)

    return fault


def meanwhile(act: Callable[[], Any]) -> Fault:
    """Somebody else does something; then the request is dropped."""

    def fault(_: Forward) -> None:
        act()

    return fault


@dataclass
class Proxy:
    """One fault a request, in order; after them requests pass. ``seen`` lists (method, path)."""

    endpoint: str
    faults: deque[Fault | None] = field(default_factory=deque)
    seen: list[tuple[str, str]] = field(default_factory=list)

    def fail(self, *faults: Fault | None) -> None:
        """The next requests meet these; None lets one pass."""
        self.faults.extend(faults)


@contextmanager
def proxy_to(upstream: str) -> Iterator[Proxy]:
    """A proxy on 127.0.0.1 to the server at this URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    host, port = server.server_address[:2]
    proxy = Proxy(f"http://{host!s}:{port}")
    server.proxy, server.upstream = proxy, urlsplit(upstream)  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        proxy: Proxy = self.server.proxy  # type: ignore[attr-defined]
        proxy.seen.append((self.command, self.path))
        fault = proxy.faults.popleft() if proxy.faults else None
        reply = self._forward(body) if fault is None else fault(lambda: self._forward(body))
        if reply is not None:
            self.send_response_only(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else reply.body)
        self.close_connection = True

    def _forward(self, body: bytes) -> Reply:
        upstream = self.server.upstream  # type: ignore[attr-defined]
        connection = http.client.HTTPConnection(upstream.hostname, upstream.port, timeout=30)
        try:
            connection.request(self.command, self.path, body, {**self.headers, "Connection": "close"})
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        headers = [(n, v) for n, v in answer.getheaders() if n.lower() not in ("transfer-encoding", "connection")]
        if not any(name.lower() == "content-length" for name, _ in headers) and self.command != "HEAD":
            headers.append(("Content-Length", str(len(body))))
        return Reply(answer.status, headers, body)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _handle  # noqa: N815 - the library's names

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""
