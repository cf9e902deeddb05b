"""What Ray says of other deployments, in our own errors."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any, cast

import pytest
from ray.exceptions import ActorDiedError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from services.gateway import handles
from services.gateway.handles import Handle, Handles
from services.limits.port import Ask, KeyLimits
from services.messages import ControllerStatus
from tornio.api import TaskName, ZeroShotOut
from tornio.errors import NotServable, Unavailable
from tornio.loop.phase import Phase
from tornio.spec import LabelSpec

pytestmark = pytest.mark.unit

TASK = TaskName("acme", "support")
LENT = Ask("shop", KeyLimits(10), 5, 10, 1)


class FakeHandle:
    """A Serve handle whose every method does in turn what it is told: raise, or answer."""

    def __init__(self, *does: Any) -> None:
        self.does = list(does)
        self.asked: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, method: str) -> Any:
        handle = self

        class Method:
            async def remote(self, *args: Any) -> Any:
                handle.asked.append((method, args))
                does = handle.does.pop(0)
                if isinstance(does, BaseException):
                    raise does
                if callable(does):
                    return await does()
                return does

        return Method()


def cluster(*does: Any) -> tuple[Handles, FakeHandle]:
    handle = FakeHandle(*does)
    same = cast(Handle, handle)
    return Handles(same, same), handle


def score(*does: Any) -> ZeroShotOut:
    return asyncio.run(cluster(*does)[0].score(["a"], [LabelSpec(name="x")], [], False))


def raised(error: Exception) -> Exception:
    """As Ray raises what a replica raised: an error of both classes, with the replica's traceback in its text."""
    said = RayTaskError("score", "Traceback of the replica", error)  # type: ignore[no-untyped-call]
    return cast(Exception, said.as_instanceof_cause())  # type: ignore[no-untyped-call]


def test_arguments_are_values_that_can_be_pickled() -> None:
    played, handle = cluster(ZeroShotOut(predictions=[], agent=""), ControllerStatus(Phase.WAITING, ""), None, None, [])

    async def ask() -> None:
        await played.score(("a",), (LabelSpec(name="x"),), ("{}",), False)
        await played.controller_status(TASK)
        await played.nudge(TASK)
        await played.answered("acme", "support again")
        await played.lend("gateway", (LENT,))

    asyncio.run(ask())
    assert pickle.loads(pickle.dumps(handle.asked)) == handle.asked  # noqa: S301 - as Ray sends them
    assert handle.asked == [
        ("score", (["a"], [LabelSpec(name="x")], ["{}"], False)),
        ("status", ("acme", "support")),
        ("nudge", ("acme", "support")),
        ("answered", ("acme", "support again")),
        ("lend", ("gateway", [LENT])),
    ]


def test_our_own_errors_come_through_without_the_replicas_traceback() -> None:
    with pytest.raises(NotServable) as error:
        score(raised(NotServable("no current yet")))
    assert str(error.value) == "no current yet"


def test_a_bug_stays_a_bug() -> None:
    with pytest.raises(KeyError):
        score(raised(KeyError("oh")))


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (BackPressureError(num_queued_requests=7, max_queued_requests=7), "busy"),
        (DeploymentUnavailableError(cast(Any, "teacher")), "is away"),
    ],
)
def test_busy_or_away_is_unavailable(error: Exception, says: str) -> None:
    with pytest.raises(Unavailable, match=says):
        score(error)


def test_a_replica_that_dies_is_replaced_by_its_neighbour_once() -> None:
    answer = ZeroShotOut(predictions=[], agent="teacher")
    assert score(ActorDiedError(), answer) == answer
    with pytest.raises(Unavailable, match="mid-request"):
        score(ActorDiedError(), ActorDiedError())


def test_a_controller_that_does_not_answer_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handles, "PATIENCE_S", 0.01)
    with pytest.raises(Unavailable, match="The controller did not answer"):
        asyncio.run(cluster(lambda: asyncio.sleep(60))[0].controller_status(TASK))
