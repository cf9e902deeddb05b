"""A simulation over a task: its replays, what they ask, and what is done again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import simulate
from jobs.context import RunContext
from jobs.slice_inputs import Corpus
from tests.unit.controller.turning import quick_fit
from tests.unit.jobs.test_training_inputs import LABELS, World
from tornio.api import SimulateRequest, TaskName
from tornio.errors import BudgetSpent, InvalidInput, MissingPlugin
from tornio.query import Candidates, Selection
from tornio.records import Record
from tornio.schemas.runs import RunPlan
from tornio.schemas.simulation import ReplayResult, SimulateArgs
from tornio.spec import TaskSpec
from tornio.storage import documents
from tornio.tasks import Tasks

pytestmark = pytest.mark.unit
TASK = TaskName("w", "t")


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    more = [(Record(f"m{i:03d}", f"more number {i}"), [LABELS[i % 3]]) for i in range(40)]
    world.task.import_labels(more, "train", "test")
    return world


def planned(world: World, **asked: Any) -> RunPlan:
    values = {"batch_sizes": ("8",), "budget": 24, "seeds": 2, **asked}
    with quick_fit():
        return simulate.plan(SimulateRequest.model_validate(values), TASK, world.job)


def done(world: World, plan: RunPlan) -> Any:
    with quick_fit():
        return simulate.run(SimulateArgs.model_validate(plan.args), RunContext(world.job, plan, 1))


def replays(world: World, plan: RunPlan) -> list[ReplayResult]:
    count = len(SimulateArgs.model_validate(plan.args).arms) * SimulateArgs.model_validate(plan.args).seeds
    return [documents.load(world.store, simulate._key(plan, n), ReplayResult)[0] for n in range(count)]


def test_the_tasks_own_criterion_is_judged_with_its_settings(world: World) -> None:
    stop = {"criterion": "any", "settings": {"criteria": [{"criterion": "budget", "settings": {"labels": 12}}]}}
    spec = world.task.spec.model_dump()
    Tasks(world.store).apply(TaskSpec.model_validate({**spec, "loop": {**spec["loop"], "stop": stop}}), "test")
    rows = [row for row in done(world, planned(world)).stops if row.criterion == "any"]
    assert {row.arm for row in rows} == {"random", "breaking-ties"}
    assert {(row.seeds, row.stopped, row.labels.mean) for row in rows} == {(2, 2, 16)}


def test_each_strategy_is_replayed_beside_random(world: World) -> None:
    plan = planned(world)
    output = done(world, plan)
    assert not output.errors
    assert {(row.arm, row.labels) for row in output.rows} == {
        (arm, labels) for arm in ("random", "breaking-ties") for labels in (8, 16, 24)
    }
    assert [one.arm for one in output.savings] == ["breaking-ties"]
    assert {one.criterion for one in output.stops} >= {"kappa-average"}
    table = pq.read_table(pa.BufferReader(world.store.get(output.results).body))
    assert len(table) == 2 * 2 * 3
    assert b"breaking-ties" in world.store.get(output.report).body


def test_all_arms_begin_with_the_same_batch_of_a_seed(world: World) -> None:
    plan = planned(world, strategies=("breaking-ties", "least-confidence"))
    done(world, plan)
    firsts = {(one.seed, one.points[0].micro_f1) for one in replays(world, plan)}
    assert len(firsts) == 2, "one for each seed"


def test_no_text_is_asked_twice_and_none_that_judges(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    offered: list[set[str]] = []
    labelled: list[int] = []

    def first_ones(self: object, candidates: Candidates, n: int, seed: int) -> Selection:
        offered.append(set(candidates.texts))
        labelled.append(len(candidates.labelled.labels))
        return Selection(np.arange(min(n, len(candidates)), dtype=np.int64))

    monkeypatch.setattr("tornio.query.strategies.uncertainty.LeastConfidence.select", first_ones)
    plan = planned(world, strategies=("least-confidence",), seeds=1)
    done(world, plan)
    _, judges = Corpus.of(SimulateArgs.model_validate(plan.args), RunContext(world.job, plan, 1), world.spec).split(0)
    assert labelled == [8, 16]
    assert len(offered[1]) == len(offered[0]) - 8
    assert not set(judges.texts) & offered[0]
    held = world.held_out()
    assert not {record.text for record in world.records if record.record_id in held} & offered[0]


def test_a_run_that_is_repeated_does_only_what_is_missing(world: World) -> None:
    plan = planned(world)
    first = done(world, plan)
    world.store.delete(simulate._key(plan, 1))
    again = done(world, plan)
    assert again.rows == first.rows, "the replay that was lost is the same again"


def test_a_strategy_that_fails_is_shown_and_the_others_go_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("it is broken")

    monkeypatch.setattr("tornio.query.strategies.uncertainty.LeastConfidence.select", broken)
    output = done(world, planned(world, strategies=("least-confidence",)))
    assert "it is broken" in output.errors["least-confidence"][0]
    assert {row.arm for row in output.rows} == {"random"}
    assert output.conclusion.startswith("Nothing can be said")


def test_a_first_batch_of_one_label_is_answered_with_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fruit(self: object, candidates: Candidates, n: int, seed: int) -> Selection:
        rows = [row for row, text in enumerate(candidates.texts) if int(text.split()[-1]) % 3 == 0]
        return Selection(np.array(rows[:n] if len(rows) >= n else range(n), dtype=np.int64))

    monkeypatch.setattr("tornio.query.strategies.shuffled.Shuffled.select", fruit)
    output = done(world, planned(world, seeds=1))
    first = next(row for row in output.rows if row.labels == 8)
    assert first.micro_f1.mean == pytest.approx(1 / 3, abs=0.1), "the share of the label"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"strategies": ("nothing",)}, "nothing"),
        ({"cold_starts": ("nothing",)}, "nothing"),
        ({"kinds": ("nothing",)}, "nothing"),
        ({"batch_sizes": ("2",)}, "at least 4"),
        ({"batch_sizes": ("many",)}, "whole numbers"),
        ({"batch_sizes": ("30",)}, "fewer than two batches"),
        ({"budget": 9}, "two batches"),
        ({"strategies": ("adaptive",)}, "adaptive cannot be replayed on these labels"),
    ],
)
def test_what_cannot_be_replayed_is_refused(world: World, asked: dict[str, Any], why: str) -> None:
    with pytest.raises((InvalidInput, MissingPlugin), match=why):
        planned(world, **asked)


def test_arms_are_named_by_what_differs(world: World) -> None:
    plan = planned(world, cold_starts=("random", "diverse"), batch_sizes=("8", "10"))
    names = [arm.name for arm in SimulateArgs.model_validate(plan.args).arms]
    assert len(set(names)) == len(names)
    assert "breaking-ties, after diverse, batches of 8" in names


def test_a_teacher_is_asked_once_before_the_replays_and_its_failure_is_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, training={"method": "distillation"})
    plan = planned(world, batch_sizes=("4",), budget=8)

    def spent(*_: Any) -> None:
        raise BudgetSpent("spent")

    monkeypatch.setattr(world.loader.counting, "score", spent)
    with pytest.raises(BudgetSpent):
        done(world, plan)
    with quick_fit(), pytest.raises(BudgetSpent):
        simulate.ReplayWork(plan, world.store, world.loader).do(0)
    assert not list(world.store.list(plan.run_keys.folder("replays")))
    monkeypatch.undo()
    asked: list[list[int]] = []
    do = simulate.ReplayWork.do

    def watched(work: simulate.ReplayWork, part: int) -> None:
        asked.append(list(world.loader.counting.asked))
        do(work, part)

    monkeypatch.setattr(simulate.ReplayWork, "do", watched)
    done(world, plan)
    assert asked[0] == asked[-1] == [20, 40]


def test_asking_at_random_after_another_first_batch_is_an_arm_of_its_own(world: World) -> None:
    plan = planned(world, strategies=("random",), cold_starts=("diverse",), seeds=1)
    output = done(world, plan)
    assert {row.arm for row in output.rows} == {"random", "random, after diverse"}
    assert {row.seeds for row in output.rows} == {1}


def test_replays_that_end_before_the_budget_say_so(world: World) -> None:
    output = done(world, planned(world, budget=1000, seeds=1))
    most = max(row.labels for row in output.rows)
    assert f"only {most} texts to ask for" in output.conclusion
