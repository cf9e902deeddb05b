"""A version that a user chose, with everything real but the encoder and the fit; the controller is killed midway."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.controller.turning import Turning, quick_fit
from tornio.registry import CURRENT, Registry
from tornio.schemas.registry import Alias
from tornio.status.asks import Ask, ask_of_loop, ask_promotion

pytestmark = pytest.mark.unit

WRITES = ("put", "put_if_absent", "put_if_match")


class Killed(BaseException):
    """The process is gone: nothing below catches it."""


def current(turning: Turning) -> Alias:
    alias = Registry(turning.store, turning.task.keys).alias(CURRENT)
    assert alias is not None
    return alias


@pytest.fixture
def turning(tmp_path: Path) -> Turning:
    """A task with three versions, the last of which serves."""
    with quick_fit():
        turning = Turning(tmp_path).begin()
        turning.turn()
    return turning


def test_the_first_version_serves_again_until_resume_and_is_in_the_history(turning: Turning) -> None:
    first = turning.task.iterations()[0].version
    assert first is not None
    ask_promotion(turning.task, first, "ana", "it knows rivers", False)
    turning.turn()
    moved = current(turning)
    assert (moved.version, moved.revision, moved.who, moved.cause) == (first, 4, "ana", "manual")
    assert moved.why == f"ana promoted {first}: it knows rivers"
    assert turning.task.loop_state().asks.hold == moved.why
    ask_promotion(turning.task, first, "ana", "it knows rivers", False)
    turning.turn()
    assert current(turning) == moved
    ask_of_loop(turning.task, Ask.RESUME)
    turning.turn()
    assert current(turning) == moved


def test_killed_after_any_write_the_next_controller_deploys_it_once(tmp_path: Path) -> None:
    for at in range(1, 30):
        with quick_fit():
            turning = Turning(tmp_path / str(at)).begin()
            turning.turn()
            first = turning.task.iterations()[0].version
            assert first is not None
            ask_promotion(turning.task, first, "ana", "", False)
            writes = [0]

            def kill(operation: str, _: str, writes: list[int] = writes, at: int = at) -> None:
                writes[0] += operation in WRITES
                if writes[0] == at:
                    raise Killed

            turning.store.after = kill
            try:
                turning.turn()
            except Killed:
                killed = True
            else:
                killed = False
            turning.store.after = None
            turning.turn()
        assert (current(turning).version, current(turning).revision) == (first, 4), f"killed after write {at}"
        if not killed:
            assert at > 3
            return
    raise AssertionError("it never comes to an end by itself")
