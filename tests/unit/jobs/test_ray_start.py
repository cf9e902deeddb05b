"""Ray is started again when it did not start in time, each time with more time."""

from __future__ import annotations

import pytest

ray = pytest.importorskip("ray")

from jobs.running import ray_start  # noqa: E402
from services.embedded.serving import again  # noqa: E402
from services.embedded.up import START_S  # noqa: E402
from tornio.errors import Unavailable  # noqa: E402

pytestmark = pytest.mark.unit


class Clock:
    """Time passes in sleeps alone."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    from ray._private import ray_constants, services

    clock = Clock()
    monkeypatch.setattr(services, "get_node", services.get_node)
    monkeypatch.setattr(ray_constants, "RAY_DASHBOARD_STARTUP_TIMEOUT_S", 60)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(ray_start, "time", clock)
    return clock


def node_after(seconds: float, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the node appear only then."""

    def get_node(gcs_address: str, node_id: str) -> dict[str, str]:
        if clock.now < seconds:
            raise RuntimeError(f"{node_id} is not known at {gcs_address}")
        return {"node_id": node_id}

    monkeypatch.setattr(ray_start, "_get_node", get_node)


def asked() -> object:
    """Ask as `ray._private.node.Node.__init__` does, which `ray.init` calls: through the module."""
    return ray._private.services.get_node("127.0.0.1:1", "the node")


def allowed(clock: Clock) -> int:
    began = clock.now
    with pytest.raises(RuntimeError, match="the node is not known"):
        asked()
    return int(clock.now - began)


@pytest.mark.parametrize(("attempt", "late_s"), [(0, 29.0), (1, 55.0), (3, 235.0)])
def test_a_node_that_appears_late_is_waited_for(
    attempt: int, late_s: float, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    node_after(late_s, clock, monkeypatch)
    ray_start.be_patient(attempt)
    assert asked() == {"node_id": "the node"}
    assert late_s <= clock.now < late_s + 1


def test_ray_still_asks_through_the_module() -> None:
    from ray._private.node import Node

    assert "services" in Node.__init__.__code__.co_names
    assert "get_node" in Node.__init__.__code__.co_names


def test_tornio_up_waits_longer_than_all_tries() -> None:
    tries = sum((ray_start.NODE_S + ray_start.DASHBOARD_S) << attempt for attempt in range(ray_start.TRIES))
    assert tries == 1350
    assert tries < START_S


def test_each_try_has_twice_the_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    node_after(1e9, clock, monkeypatch)
    seen, said = list[int](), list[str]()

    def start() -> None:
        seen.append(allowed(clock))
        if len(seen) < 3:
            raise RuntimeError("the node timed out")

    ray_start.until_it_runs(start, said.append)
    assert seen == [30, 60, 120]
    assert len(said) == 2
    assert "the node timed out" in said[0]


def test_it_gives_up_with_the_reason(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    node_after(1e9, clock, monkeypatch)
    seen = list[int]()

    def start() -> None:
        seen.append(allowed(clock))
        raise RuntimeError("no memory")

    with pytest.raises(Unavailable, match=r"4 tries \(no memory\)"):
        ray_start.until_it_runs(start, lambda _: None)
    assert seen == [30, 60, 120, 240]


def test_tornio_up_counts_its_tries_on_the_command_line() -> None:
    first = ["python", "-m", "services.embedded.serving", "--port", "1"]
    assert again(first, 1) == [*first, "--attempt", "1"]
    assert again(again(first, 1), 2) == [*first, "--attempt", "2"]
