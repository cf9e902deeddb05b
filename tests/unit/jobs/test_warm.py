"""When the warm worker ends: after a time without a run, and never during one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from ray.exceptions import GetTimeoutError

from jobs.running import warm
from jobs.running.warm import NAME, NAMESPACE, WarmRunner, WarmWorker
from tornio.errors import Unavailable
from tornio.schemas.base import Part
from tornio.schemas.runs import RunPlan

pytestmark = pytest.mark.unit


class Clock:
    """Time that passes only in ``sleep``, which does what it is given after so many seconds."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.later: list[tuple[float, Callable[[], None]]] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        while self.later and self.later[0][0] <= self.now:
            self.later.pop(0)[1]()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(warm, "time", found)
    return found


@pytest.fixture
def worker(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> WarmWorker:
    with monkeypatch.context() as patch:
        patch.setattr(WarmWorker, "_warm_up", lambda _self: None)
        patch.setattr(WarmWorker, "_end_when_idle", lambda _self: None)
        return WarmWorker()


def test_it_is_idle_when_no_run_waits_or_is_done(worker: WarmWorker, clock: Clock) -> None:
    clock.sleep(7)
    assert worker.idle_s() == 7
    run: Future[None] = Future()
    worker._runs["train-1"] = (1, run)
    assert worker.idle_s() == 0
    clock.sleep(100)
    run.set_result(None)
    assert worker.idle_s() == 100


def test_it_ends_for_good_after_the_last_run(worker: WarmWorker, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORNIO_JOB_WARM_IDLE_SECONDS", "60")
    killed: list[tuple[Any, float]] = []
    monkeypatch.setattr("ray.get_actor", lambda name, namespace: (name, namespace))
    monkeypatch.setattr("ray.kill", lambda actor: killed.append((actor, clock.now)))
    run: Future[None] = Future()
    worker._runs["train-1"] = (1, run)
    clock.later.append((1500.0, lambda: run.set_result(None)))
    worker._end_when_idle()
    ((actor, at),) = killed
    assert actor == (NAME, NAMESPACE)
    assert 1555 <= at <= 1570


def test_a_worker_too_busy_to_say_whether_the_run_goes_on_is_asked_to_cancel_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def call(_: WarmRunner, seconds: float, method: str, *__: object) -> bool:
        if method == "cancel":
            return False  # it is being done
        raise GetTimeoutError(f"not within {seconds} s")

    monkeypatch.setattr(WarmRunner, "_call", call)
    with pytest.raises(Unavailable, match="Cancel again"):
        WarmRunner().cancel(RunPlan.of("label", "w", "t", Part()))
