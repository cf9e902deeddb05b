"""A trial through the controller's own code: judged on the hold-out, tried, recorded, and shown to users."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from services.controller.reconciler import Reconciler
from tests.unit.controller.turning import InstantFleet, Turning, make_spec, quick_fit
from tornio.loop.phase import trial_progress
from tornio.loop.trial import terms
from tornio.registry import CANDIDATE, CURRENT, Registry
from tornio.schemas.trial import TrialCounts
from tornio.spec import GateSpec, TaskSpec
from tornio.status.reported import ControllerStatus
from tornio.status.snapshot import Reader
from tornio.status.task_status import task_status
from tornio.status.versions import read_versions

pytestmark = pytest.mark.unit

TRIED = GateSpec.model_validate({"canary": {"share": 0.1, "minutes": 30}})
GOOD = TrialCounts(texts=500, agreed=480, comparisons=500, calls=500, current_calls=500)
BROKEN = GOOD.evolve(broken="version v2 gives numbers that are not finite for this text")


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick_fit():
        yield


def make_trial(folder: Path) -> tuple[Turning, Reconciler, InstantFleet]:
    """A task whose second version has just gone on trial."""
    spec: TaskSpec = make_spec().model_copy(update={"gates": TRIED})
    turning = Turning(folder, spec).begin()
    controller = turning.controller()
    fleet = controller.fleet
    assert isinstance(fleet, InstantFleet)
    for _ in range(200):
        look = controller.look()
        if look.state.batches:
            turning.answer()
        candidate = look.seen.candidate
        if candidate is not None and candidate.trial is not None:
            return turning, controller, fleet
    raise AssertionError(look.standing)


def wait(turning: Turning, controller: Reconciler, minutes: float) -> None:
    turning.clock.now += timedelta(minutes=minutes)
    for _ in range(6):
        controller.look()


def test_a_version_that_passes_is_promoted_after_its_time_by_whatever_controller_looks(tmp_path: Path) -> None:
    turning, controller, fleet = make_trial(tmp_path)
    registry = Registry(turning.store, turning.task.keys)
    tried = registry.alias(CANDIDATE)
    assert tried is not None
    assert tried.trial is not None
    fleet.counts = GOOD
    wait(turning, controller, 20)
    other = turning.controller()  # the first one was killed; the clock goes on
    assert isinstance(other.fleet, InstantFleet)
    other.fleet.counts = GOOD
    wait(turning, other, 10)
    current = registry.alias(CURRENT)
    assert current is not None
    assert current.version == tried.version
    assert "passed its trial: 500 texts compared" in current.why
    (record,) = turning.task.trials()
    assert record.version == tried.version
    assert record.trial.counts == GOOD
    assert record.trial.terms.started_at == tried.trial.started_at


def test_what_it_may_expect_is_measured_on_the_hold_out(tmp_path: Path) -> None:
    turning, controller, _ = make_trial(tmp_path)
    state, task = turning.task.loop_state(), turning.task
    assert state.swap is not None
    against = state.swap.against
    assert against is not None
    assert against == task.iterations()[state.swap.iteration - 1].against
    assert 0 <= against.agreed <= against.texts
    assert against.texts == task.iterations()[state.swap.iteration - 1].metrics.get("n", 0)
    assert task.iterations()[0].against is None
    assert controller is not None


def test_a_refusal_says_why_in_the_status_and_in_the_list_of_versions(tmp_path: Path) -> None:
    turning, controller, fleet = make_trial(tmp_path)
    reader, state = Reader(turning.store, turning.task), turning.task.loop_state()
    assert state.swap is not None
    version = state.swap.version
    look = controller.look()
    running = ControllerStatus(look.standing.phase, look.standing.why, trial=trial_progress(look.state, look.seen))
    shown = task_status(reader.snapshot(), running, turning.clock())
    assert shown.trial is not None
    assert shown.trial.promoted is None
    assert f"{version} is on trial: 0 of 30 minutes, 200 texts" in shown.trial.why
    assert {one.version: one.state for one in read_versions(reader)}[version] == "on trial"
    fleet.counts = BROKEN
    for _ in range(6):
        controller.look()
    shown = task_status(reader.snapshot(), "away", datetime.now(turning.clock().tzinfo))
    assert shown.trial is not None
    assert (shown.trial.version, shown.trial.promoted) == (version, False)
    assert "not finite" in shown.trial.why
    listed = {one.version: one for one in read_versions(reader)}
    assert listed[version].state == "refused"
    assert any("not finite" in reason for reason in listed[version].reasons)


def test_the_alias_loses_the_terms_when_the_trial_is_over(tmp_path: Path) -> None:
    turning, controller, fleet = make_trial(tmp_path)
    fleet.counts = BROKEN
    for _ in range(6):
        look = controller.look()
    candidate = Registry(turning.store, turning.task.keys).alias(CANDIDATE)
    assert candidate is not None
    assert candidate.trial == terms(look.state)


class Killed(BaseException):
    pass


def ended(folder: Path, counts: TrialCounts, at: int | None) -> tuple[int, tuple[object, ...]]:
    """Run a task of two versions to its end; the controller is killed after write ``at`` from the first version on.

    Returns the number of writes, and how it ended.
    """
    spec = make_spec(stop={"max_iterations": 2}).model_copy(update={"gates": TRIED})
    turning, calls = Turning(folder, spec).begin(), 0

    def count(operation: str, key: str = "") -> None:
        nonlocal calls
        if operation.startswith("put") and any(part in key for part in ("loop.json", "aliases/", "trials/")):
            calls += bool(registry.alias(CURRENT))
            if calls == at:
                turning.store.after = None
                raise Killed

    registry = Registry(turning.store, turning.task.keys)
    controller, waited, still = turning.controller(), False, 0
    turning.store.after = count
    while still < 5:
        assert isinstance(controller.fleet, InstantFleet)
        controller.fleet.counts = counts
        try:
            look = controller.look()
        except Killed:
            controller = turning.controller()
            continue
        if look.state.batches:
            turning.answer()
        candidate = look.seen.candidate
        if candidate is not None and candidate.trial is not None and not waited:
            turning.clock.now += timedelta(minutes=31)
            waited = True
        still = 0 if look.busy or look.state.batches or look.state.swap or look.state.iteration < 2 else still + 1
    candidate, current = registry.alias(CANDIDATE), registry.alias(CURRENT)
    assert candidate is not None
    assert current is not None
    verdicts = [(one.version, one.trial.verdict, one.trial.counts) for one in turning.task.trials()]
    return calls, (candidate.version, candidate.trial, current.version, current.revision, verdicts, look.state.refusals)


@pytest.mark.parametrize("counts", [GOOD, BROKEN], ids=["promoted", "refused"])
def test_killed_after_any_write_the_next_controller_ends_the_trial_the_same(
    tmp_path: Path, counts: TrialCounts
) -> None:
    calls, expected = ended(tmp_path, counts, None)
    assert calls > 8
    assert len(expected[4]) == 1  # type: ignore[arg-type]
    for at in range(1, calls + 1):
        assert ended(tmp_path, counts, at)[1] == expected, f"killed after write {at}"
