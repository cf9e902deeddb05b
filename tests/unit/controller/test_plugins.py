"""The loop with a strategy and a criterion of installed packages, and after the packages are gone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.controller.reconciler import Look
from tests.plugins import installed
from tests.unit.controller.turning import Turning, make_spec, quick_fit
from tornio.loop.phase import Phase
from tornio.query import Selection
from tornio.registry import CURRENT, Registry
from tornio.schemas.task import SpecDocument
from tornio.stopping import stop_threshold
from tornio.storage import documents
from tornio.tasks import Tasks

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


def two_iterations(turning: Turning) -> None:
    """Turn until two iterations have ended, and stop there."""
    controller = turning.controller()
    while len(turning.task.iterations()) < 2:
        if controller.look().state.batches:
            turning.answer()


def test_a_strategy_of_a_package_picks_and_when_it_is_gone_only_picking_waits(tmp_path: Path) -> None:
    turning = Turning(
        tmp_path, make_spec(strategy="far-from-labels", strategy_settings={"unsure": 2}, stop={"max_iterations": 9})
    )
    with installed("query_strategy", tmp_path / "site"):
        two_iterations(turning.begin())
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


def test_a_task_whose_strategy_is_gone_goes_on_with_another_that_has_no_settings(tmp_path: Path) -> None:
    spec = make_spec(strategy="far-from-labels", strategy_settings={"unsure": 2}, stop={"max_iterations": 3})
    turning = Turning(tmp_path, spec)
    with installed("query_strategy", tmp_path / "site"):
        two_iterations(turning.begin())
    looked(turning, 100)
    turning.spec = make_spec(strategy="breaking-ties", stop={"max_iterations": 3})
    Tasks(turning.store).apply(turning.spec, "me")
    assert turning.turn().standing.phase is Phase.STOPPED
    assert turning.task.batches()[-1].strategy == "breaking-ties"


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


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(np.zeros(4, dtype=np.int64)), "picked a row twice"),
        (Selection(np.array([0, 99_999])), "not a candidate"),
        (Selection(np.array([-1, 0])), "not a candidate"),
        (Selection(np.array([0.0, 1.0])), "as whole numbers"),
        (Selection(np.arange(10)), "picked 10 of"),
        (Selection(np.zeros(0, dtype=np.int64)), "picked 0 of"),
        (Selection(np.array([0, 1]), np.array([0.5, 7.5], dtype=np.float32)), r"uncertainty in \[0, 1\]"),
        (Selection(np.array([0, 1]), np.array([0.5, np.nan], dtype=np.float32)), r"uncertainty in \[0, 1\]"),
    ],
)
def test_a_strategy_that_answers_nonsense_is_refused(tmp_path: Path, selection: Selection, message: str) -> None:
    with installed("query_strategy", tmp_path / "site"), pytest.MonkeyPatch.context() as patch:
        turning = Turning(tmp_path, make_spec(strategy="far-from-labels")).begin()
        import far_from_labels  # type: ignore[import-not-found]

        patch.setattr(far_from_labels.FarFromLabels, "select", lambda *_: selection)
        look = looked(turning, 200)
    assert re.search(message, look.standing.why)
    turning.spec = make_spec()  # another strategy, and it goes on: nothing was written that cannot be used
    Tasks(turning.store).apply(turning.spec, "me")
    turning.turn()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "abc", [0.5], np.array([1.0, 2.0])])
def test_a_criterion_that_measures_nonsense_stops_no_version(tmp_path: Path, value: object) -> None:
    spec = make_spec(stop={"criterion": "few-changes", "max_iterations": 3})
    with installed("stopping_criterion", tmp_path / "site"), pytest.MonkeyPatch.context() as patch:
        turning = Turning(tmp_path, spec).begin()
        import few_changes  # type: ignore[import-not-found]

        patch.setattr(few_changes.FewChanges, "signal", lambda *_: value)
        patch.setattr(few_changes.FewChanges, "reason", lambda *_: 5)
        patch.setattr(few_changes.FewChanges, "threshold", lambda *_: value)
        look = turning.turn(turning.controller())
        assert stop_threshold(spec.loop.stop) is None
    assert "max_iterations" in look.standing.why
    iterations = turning.task.iterations()
    assert len(iterations) == 3
    assert all(one.verdict is not None and one.verdict.promoted for one in iterations)
    assert "no signal" in str([one.verdict.warnings for one in iterations if one.verdict])
    assert turning.task.loop_state().stop.of("few-changes") == ()


@pytest.mark.parametrize("section", [{"training": {"method": "later"}}, {"classifier": {"kind": "later"}}])
def test_a_training_that_names_what_is_missing_waits_and_costs_no_iteration(
    tmp_path: Path, section: dict[str, Any]
) -> None:
    turning = Turning(tmp_path, make_spec(stop={"max_iterations": 2})).begin()
    stored, etag = documents.load(turning.store, "w/tasks/t/specs/1.json", SpecDocument)
    later = stored.evolve(spec={**stored.spec, **section})
    documents.replace(turning.store, "w/tasks/t/specs/1.json", later, etag)
    look = looked(turning, 300)
    assert look.standing.phase is Phase.ATTENTION
    assert "training waits" in look.standing.why
    assert "'later'" in look.standing.why
    assert not turning.task.iterations()
    answered = turning.facts()["labels"]
    Tasks(turning.store).apply(make_spec(stop={"max_iterations": 2}), "me")
    assert turning.turn().standing.phase is Phase.STOPPED
    assert len(turning.task.iterations()) == 2
    assert set(answered) <= set(turning.facts()["labels"])
