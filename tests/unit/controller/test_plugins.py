"""The loop with a strategy and a criterion of installed packages, and after the packages are gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.controller.reconciler import Look
from tests.plugins import installed
from tests.unit.controller.turning import Turning, make_spec, quick_fit
from tornio.loop.phase import Phase
from tornio.query import Selection
from tornio.registry import CURRENT, Registry

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick_fit():
        yield


def looked(turning: Turning, looks: int) -> Look:
    """What the last of so many looks saw, with an annotator who answers whatever is open."""
    controller = turning.controller()
    for _ in range(looks):
        look = controller.look()
        if look.state.batches:
            turning.answer()
    return look


def test_a_strategy_of_a_package_picks_and_when_it_is_gone_only_picking_waits(tmp_path: Path) -> None:
    turning = Turning(
        tmp_path, make_spec(strategy="far-from-labels", strategy_settings={"unsure": 2}, stop={"max_iterations": 9})
    )
    with installed("query_strategy", tmp_path / "site"):
        turning.begin()
        controller = turning.controller()
        while len(turning.task.iterations()) < 2:
            if controller.look().state.batches:
                turning.answer()
    assert turning.task.batches()[1].strategy == "far-from-labels"
    look = looked(turning, 400)
    assert look.standing.phase is Phase.ATTENTION
    assert "no query strategy 'far-from-labels' on this machine" in look.standing.why
    before = turning.facts()
    assert len(before["iterations"]) >= 2
    current = Registry(turning.store, turning.task.keys).alias(CURRENT)
    assert current is not None
    assert current.version == turning.task.iterations()[-1].version

    with installed("query_strategy", tmp_path / "site"):  # installed again: it goes on, and nothing was lost
        turning.turn()
    after = turning.facts()
    assert len(after["iterations"]) == 9
    assert all(label in after["labels"] for label in before["labels"])
    assert after["iterations"][: len(before["iterations"])] == before["iterations"]


def test_a_criterion_of_a_package_stops_the_loop_and_when_it_is_gone_the_loop_goes_on(tmp_path: Path) -> None:
    spec = make_spec(stop={"criterion": "few-changes", "settings": {"share": 0.05}})
    turning = Turning(tmp_path, spec)
    with installed("stopping_criterion", tmp_path / "site"):
        turning.begin()
        look = turning.turn()
        assert look.standing.phase is Phase.STOPPED
        assert "of the predictions on the stop set changed" in look.standing.why
    stopped = turning.facts()
    signals = turning.task.loop_state().stop.of("few-changes")
    assert len(signals) == len(stopped["iterations"]) - 1

    look = looked(turning, 600)
    assert "no stopping criterion 'few-changes' on this machine" in look.standing.why
    assert look.standing.phase is Phase.ATTENTION
    assert len(turning.task.iterations()) > len(stopped["iterations"])
    assert turning.task.loop_state().stop.of("few-changes") == signals  # nothing measured, nothing lost
    turning.facts()


def test_a_strategy_that_answers_nonsense_is_refused(tmp_path: Path) -> None:
    with installed("query_strategy", tmp_path / "site"), pytest.MonkeyPatch.context() as patch:
        turning = Turning(tmp_path, make_spec(strategy="far-from-labels")).begin()
        import far_from_labels  # type: ignore[import-not-found]

        twice = Selection(np.zeros(4, dtype=np.int64))
        patch.setattr(far_from_labels.FarFromLabels, "select", lambda *_: twice)
        look = looked(turning, 200)
    assert "picked rows twice" in look.standing.why
