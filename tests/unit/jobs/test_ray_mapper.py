"""What a worker of a large run says reaches the process that drives it, as it was said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jobs.running import ray_mapper
from tornio.errors import InvalidInput, RunFailed, TornioError, Unavailable
from tornio.schemas.runs import RunPlan

pytestmark = pytest.mark.unit
PLAN = RunPlan(run="score-1", job="score", workspace="w", task=None, args={})


class Work:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def do(self, part: int) -> None:
        if part == 1:
            raise self.error


def rows(monkeypatch: pytest.MonkeyPatch, error: Exception, parts: list[int]) -> list[dict[str, Any]]:
    """What an actor returns for these parts."""
    monkeypatch.setattr(ray_mapper._Worker, "_made", lambda self: Work(error))
    worker = ray_mapper._Worker("score", PLAN.encode().decode())
    return [{name: values[0] for name, values in worker({"part": np.array([part])}).items()} for part in parts]


@pytest.mark.parametrize("error", [InvalidInput("no \ud800 weights"), Unavailable("away"), TornioError("x")])
def test_an_error_of_ours_is_raised_again_as_it_was(monkeypatch: pytest.MonkeyPatch, error: TornioError) -> None:
    done: list[int] = []
    with pytest.raises(type(error)) as raised:
        ray_mapper.count_rows(rows(monkeypatch, error, [0, 1, 2]), done.append)
    assert str(raised.value) == str(error).replace("\ud800", "\\ud800")
    assert done == [0]


def test_an_error_of_another_release_is_still_told() -> None:
    with pytest.raises(RunFailed, match="new trouble"):
        ray_mapper.count_rows([{"part": 0, "kind": "urn:tornio:problem:unheard-of", "message": "new trouble"}], print)


def test_other_errors_are_left_to_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        rows(monkeypatch, ZeroDivisionError(), [1])
