"""On a real server: others are answered while bodies never end, and while a client sends more than its share."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack

import httpx
import pytest

from tests.unit.gateway.fake import OPERATOR, PREDICTOR
from tests.unit.gateway.serving import served
from tornio.api import Problem

pytestmark = pytest.mark.integration

PREDICT = "/v1/tasks/acme/support/predict"
MOST = 48


def half_sent(stack: ExitStack, port: int, key: str) -> socket.socket:
    """Send half of a request, and leave its connection open."""
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
    head = (
        f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json"
    )
    connection.sendall(f'{head}\r\nContent-Length: 1000\r\n\r\n{{"texts": ['.encode())
    return connection


def ask(port: int, key: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.post(f"http://127.0.0.1:{port}{PREDICT}", json={"texts": ["x"]}, headers=headers, timeout=60)


def until(port: int, key: str, status: int) -> httpx.Response:
    """The first answer with this status: what was sent before arrives in its own time."""
    end = time.monotonic() + 300
    while (answer := ask(port, key)).status_code != status:
        assert time.monotonic() < end, f"still {answer.status_code}, not {status}"
    return answer


def test_half_sent_bodies_of_one_client_leave_room_for_others() -> None:
    with served(body_seconds=600, most_per_client=MOST) as port, ExitStack() as stack:
        for _ in range(270):
            half_sent(stack, port, OPERATOR)
        refused = until(port, OPERATOR, 429)
        assert refused.headers["retry-after"] == "1"
        assert "'operator' has 48 requests under way" in Problem.model_validate_json(refused.content).detail
        assert [ask(port, PREDICTOR).status_code for _ in range(50)] == [200] * 50
        assert httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=60).status_code == 200
        stack.close()
        assert until(port, OPERATOR, 200).json()["predictions"]


def test_without_keys_a_client_is_an_address() -> None:
    with served(body_seconds=600, keys="[]", most_per_client=MOST) as port, ExitStack() as stack:
        for _ in range(MOST + 10):
            half_sent(stack, port, "not-asked-for")
        assert "address 127.0.0.1" in until(port, "not-asked-for", 429).json()["detail"]


def test_a_body_that_does_not_arrive_is_answered_and_its_connection_closed() -> None:
    with served(body_seconds=0.01) as port, ExitStack() as stack:
        connection = half_sent(stack, port, OPERATOR)
        head, _, body = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in head.lower()
        problem = Problem.model_validate(json.loads(body))
        assert (problem.type, problem.status) == ("urn:tornio:problem:temporary-error", 408)
        assert "did not arrive in time" in problem.detail
        assert until(port, OPERATOR, 200).json()["predictions"]
