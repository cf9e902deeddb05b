"""What a pod that is about to end asks of Ray."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from services import leaving
from services.leaving import TRIES, drain_command
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


@pytest.fixture
def ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The `ray` of the PATH, which the test writes. It stands in for the head that answers or does not."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    monkeypatch.setattr(leaving, "_command_lines", lambda: [RAYLET])
    monkeypatch.chdir(tmp_path)
    return tmp_path / "ray"


def run_main(ray: Path, script: str, patience: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ray.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    ray.chmod(0o755)
    monkeypatch.setattr(sys, "argv", ["leaving", "80", patience])
    leaving.main()


def test_a_head_that_does_not_answer_is_given_up(ray: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ray drain-node` waits for 52 s, three times, and the pod has 60."""
    with pytest.raises(SystemExit, match=r"did not answer within 0\.2 s"):
        run_main(ray, "exec sleep 600", "0.2", monkeypatch)


def test_the_request_is_sent_again_until_the_head_takes_it(ray: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_main(ray, "echo $1 >>asked; [ $(wc -l <asked) = 2 ]", "60", monkeypatch)
    assert ray.with_name("asked").read_text("utf-8").split() == ["drain-node"] * 2


def test_what_ray_says_is_shown_when_it_refuses(ray: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"ray drain-node .*: the node is busy"):
        run_main(ray, "echo x >>asked; echo the node is busy; exit 1", "60", monkeypatch)
    assert len(ray.with_name("asked").read_text("utf-8").split()) == TRIES


def test_the_proxy_of_a_pod_closes_its_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own replica has moved by then, and the one that answers does not know that this pod ends."""
    monkeypatch.delenv("TORNIO_LEAVING_FILE", raising=False)
    found: list[Any] = list(middlewares())
    assert [each.cls for each in found] == [RetryDeadReplica]
    monkeypatch.setenv("TORNIO_LEAVING_FILE", "/nowhere/leaving")
    found = list(middlewares())
    healthy, closing, retrying = found
    assert [each.kwargs["leaving"]() for each in (healthy, closing)] == [False, False]
    assert retrying.cls is RetryDeadReplica
