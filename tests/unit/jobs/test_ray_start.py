"""Ray is started again when it did not start in time, each time with more time."""

from __future__ import annotations

import pytest

ray = pytest.importorskip("ray")

from jobs.running import ray_start  # noqa: E402
from services.embedded.serving import again  # noqa: E402
from tornio.errors import Unavailable  # noqa: E402

pytestmark = pytest.mark.unit


def allowed() -> int:
    from ray._private import services

    defaults = services.wait_for_node.__defaults__
    assert defaults
    return int(defaults[0])


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private import ray_constants, services

    monkeypatch.setattr(services.wait_for_node, "__defaults__", services.wait_for_node.__defaults__)
    monkeypatch.setattr(ray_constants, "RAY_DASHBOARD_STARTUP_TIMEOUT_S", 60)
    monkeypatch.setattr(ray, "shutdown", lambda: None)


def test_each_try_has_twice_the_time() -> None:
    seen, said = list[int](), list[str]()

    def start() -> None:
        seen.append(allowed())
        if len(seen) < 3:
            raise RuntimeError("the node timed out")

    ray_start.until_it_runs(start, said.append)
    assert seen == [30, 60, 120]
    assert len(said) == 2
    assert "the node timed out" in said[0]


def test_it_gives_up_with_the_reason() -> None:
    seen = list[int]()

    def start() -> None:
        seen.append(allowed())
        raise RuntimeError("no memory")

    with pytest.raises(Unavailable, match=r"4 tries \(no memory\)"):
        ray_start.until_it_runs(start, lambda _: None)
    assert seen == [30, 60, 120, 240]


def test_tornio_up_counts_its_tries_on_the_command_line() -> None:
    first = ["python", "-m", "services.embedded.serving", "--port", "1"]
    assert again(first, 1) == [*first, "--attempt", "1"]
    assert again(again(first, 1), 2) == [*first, "--attempt", "2"]
