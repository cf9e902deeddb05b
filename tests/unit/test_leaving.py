"""What a pod that is about to end asks of Ray."""

from __future__ import annotations

from typing import Any

import pytest

from services.leaving import drain_command
from services.proxy import RetryDeadReplica, middlewares
from tornio.errors import NotFound

pytestmark = pytest.mark.unit

RAYLET = b"/opt/ray/core/src/ray/raylet/raylet\0--raylet_socket_name=/tmp/x\0--node_id=abc123\0--head=false\0"
OTHERS = [b"", b"bash\0-c\0ray start --node_id=no", b"ray::IDLE\0--node_id=neither\0"]


def test_the_node_of_this_pod_is_drained_until_the_pod_ends() -> None:
    command = drain_command(80, [*OTHERS, RAYLET], {"RAY_ADDRESS": "head:6379"})
    assert command[:2] == ["ray", "drain-node"]
    assert {"--address=head:6379", "--node-id=abc123", "--deadline-remaining-seconds=80"} <= set(command)
    assert "--reason=DRAIN_NODE_REASON_PREEMPTION" in command  # the other reason is refused by a busy node


@pytest.mark.parametrize(("processes", "environ"), [(OTHERS, {"RAY_ADDRESS": "head:6379"}), ([RAYLET], {})])
def test_a_pod_without_a_node_says_so(processes: list[bytes], environ: dict[str, str]) -> None:
    with pytest.raises(NotFound, match="Nothing is drained"):
        drain_command(80, processes, environ)


def test_the_proxy_of_a_pod_closes_its_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own replica has moved by then, and the one that answers does not know that this pod ends."""
    monkeypatch.delenv("TORNIO_LEAVING_FILE", raising=False)
    found: list[Any] = list(middlewares())
    assert [each.cls for each in found] == [RetryDeadReplica]
    monkeypatch.setenv("TORNIO_LEAVING_FILE", "/nowhere/leaving")
    found = list(middlewares())
    closing, retrying = found
    assert closing.kwargs["leaving"]() is False
    assert retrying.cls is RetryDeadReplica
