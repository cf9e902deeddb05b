"""Small runs go to the warm worker, large ones become Ray jobs; each is asked for where it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from jobs.running.measuring import Measure
from jobs.running.placement import Limit, PlacedRunner, is_large, size
from jobs.running.port import RunPhase, RunStatus
from jobs.sizing import Facts
from tests.unit.controller.turning import Turning, make_spec, quick_fit
from tornio.errors import Unavailable
from tornio.schemas.base import Part
from tornio.schemas.jobs import AdaptArgs, EvaluateArgs, LabelArgs, QueryArgs, TrainArgs
from tornio.schemas.registry import EncoderUse
from tornio.schemas.runs import RunPlan
from tornio.spec import TaskSpec, TeacherSpec

pytestmark = pytest.mark.unit

TRAIN = TrainArgs(generation=1, iteration=1, label_seq=1, pool_seq=1, spec_rev=1, parent=None)
EVALUATE = EvaluateArgs(version="v2", current="v1", rivals=(), agree_with="v1", label_seq=1, pool_seq=1, spec_rev=1)
ADAPT = AdaptArgs(
    pool_seq=1, label_seq=0, spec_rev=1, source="minilm", name="mine", objective="masked-language", epochs=2,
    batch_size=64, learning_rate=1e-4, base=EncoderUse(digest="0", pooling="mean", normalise=True, max_length=128),
)  # fmt: skip
QUERY = QueryArgs(batch="b", number=1, generation=1, version="v1", label_seq=1, pool_seq=1, spec_rev=1)


def plan(job: str, args: Part) -> RunPlan:
    return RunPlan.of(job, "w", "t", args)


def spec(**classifier: Any) -> TaskSpec:
    return make_spec().model_copy(update={"classifier": make_spec().classifier.model_copy(update=classifier)})


def facts(kind: str = "few-shot", labels: int = 300, own_encoders: int = 0, not_embedded: int = 70) -> Facts:
    return Facts(spec(kind=kind), 5000, not_embedded, own_encoders, count_labels=lambda: labels)


def taught(**teacher: Any) -> Facts:
    """Of a task with this teacher."""
    return replace(facts(), spec=spec().model_copy(update={"teacher": TeacherSpec.model_validate(teacher)}))


BOTH = [{"kind": "embedding"}, {"kind": "llm", "endpoint": "gpt"}]
EPOCHS = spec().classifier.fine_tuning.epochs


@pytest.mark.parametrize(
    ("job", "args", "of", "texts"),
    [
        ("train", TRAIN, facts(), 70),
        ("train", TRAIN, facts("fine-tuned"), 300 * EPOCHS * 3 * 2),
        ("train", TRAIN, facts("auto"), 70 + 300 * EPOCHS * 3 * 2),
        ("train", TRAIN, facts("auto", labels=20), 70),
        ("query", QUERY, facts(), 70),
        ("query", QUERY, facts(own_encoders=1), 5000),
        ("query", QUERY.evolve(version=None), facts(), 0),
        ("evaluate", EVALUATE, facts(not_embedded=0), 0),
        ("evaluate", EVALUATE, facts(not_embedded=0, own_encoders=2), 2 * 300 + 2 * 1000),
        ("evaluate", EVALUATE, facts(not_embedded=0, own_encoders=1, labels=10_000), 500 + 2 * 1000),
        ("label", LabelArgs(pool_seq=1, spec_rev=1), taught(kind="embedding"), 5000),
        ("label", LabelArgs(pool_seq=1, spec_rev=1), taught(kind="llm", endpoint="gpt"), 5000 * 40),
        ("label", LabelArgs(pool_seq=1, spec_rev=1), taught(kind="none"), 0),
        ("label", LabelArgs(pool_seq=1, spec_rev=1), taught(kind="combined", members=BOTH), 5000 * 41),
        ("train", TRAIN.evolve(method="distillation"), taught(kind="embedding"), 70 + 5000),
        ("train", TRAIN.evolve(method="distillation"), taught(kind="combined", members=BOTH), 70 + 5000 * 41),
        ("train", TRAIN.evolve(method="distillation"), taught(kind="llm", endpoint="gpt"), 70 + 5000 * 40),
        ("adapt", ADAPT, facts(), 5000 * 2 * 3),
        ("adapt", ADAPT.evolve(objective="contrastive"), facts(), 5000 * 2 * 3 * 2),
        ("adapt", ADAPT.evolve(objective="of a later release"), facts(), 0),
        ("label", LabelArgs(pool_seq=1, spec_rev=1), None, 0),
        ("score", Part(), None, math.inf),
    ],
)
def test_the_size_is_what_passes_through_a_model(job: str, args: Part, of: Facts | None, texts: float) -> None:
    assert size(plan(job, args), of) == texts


def test_a_chat_model_is_asked_about_a_pool_that_is_embedded_already() -> None:
    embedded = replace(taught(kind="llm", endpoint="gpt"), not_embedded=0)
    assert size(plan("train", TRAIN.evolve(method="distillation")), embedded) == 5000 * 40


@pytest.mark.parametrize(
    ("texts", "limit", "large"),
    [
        (21, 20, True),
        (20, 20, False),
        (0, 0, False),
        (0, "always", True),
        (math.inf, "never", False),
        (math.inf, 9, True),
    ],
)
def test_a_setting_says_what_is_large(texts: float, limit: Limit, large: bool) -> None:
    assert is_large(texts, limit) is large


@dataclass
class Place:
    """A runner that only remembers."""

    runs: dict[str, int] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    asked: int = 0
    away: bool = False

    def submit(self, plan: RunPlan, attempt: int) -> None:
        if self.away:
            raise Unavailable("it is away")
        self.runs[plan.run] = attempt

    def status(self, plan: RunPlan) -> RunStatus:
        self.asked += 1
        known = not self.away and plan.run in self.runs
        return RunStatus(RunPhase.RUNNING, self.runs[plan.run]) if known else RunStatus(RunPhase.UNKNOWN)

    def cancel(self, plan: RunPlan) -> None:
        self.cancelled.append(plan.run)


LARGE, SMALL = plan("score", Part()), plan("query", QUERY)


@dataclass
class Cluster:
    small: Place = field(default_factory=Place)
    large: Place = field(default_factory=Place)

    def runner(self, limit: Limit = 20_000) -> PlacedRunner:
        return PlacedRunner(self.small, self.large, lambda _: facts(), limit)


def test_each_run_goes_where_its_size_says_and_is_asked_for_there_alone() -> None:
    cluster = Cluster()
    runner = cluster.runner()
    runner.submit(LARGE, 1)
    runner.submit(SMALL, 1)
    assert (list(cluster.large.runs), list(cluster.small.runs)) == ([LARGE.run], [SMALL.run])
    for _ in range(5):
        assert runner.status(LARGE) == runner.status(SMALL) == RunStatus(RunPhase.RUNNING, 1)
    assert (cluster.large.asked, cluster.small.asked) == (5, 5)
    runner.cancel(SMALL)
    assert (cluster.large.cancelled, cluster.small.cancelled) == ([], [SMALL.run])


@pytest.mark.parametrize("where", ["small", "large"])
def test_a_run_that_an_earlier_controller_began_is_found_and_goes_on_there(where: str) -> None:
    cluster = Cluster()
    getattr(cluster, where).runs[SMALL.run] = 1
    runner = cluster.runner()
    assert runner.status(SMALL).phase is RunPhase.RUNNING
    runner.submit(SMALL, 2)
    assert getattr(cluster, where).runs == {SMALL.run: 2}
    assert runner.status(SMALL).attempt == 2


def test_a_large_run_waits_for_a_cluster_that_is_away() -> None:
    cluster = Cluster(large=Place(away=True))
    runner = cluster.runner()
    with pytest.raises(Unavailable):
        runner.submit(LARGE, 1)
    assert runner.status(LARGE).phase is RunPhase.UNKNOWN
    cluster.large.away = False
    runner.submit(LARGE, 1)
    assert cluster.small.runs == {}


def test_never_needs_no_job_api_at_all() -> None:
    cluster = Cluster(large=Place(away=True))
    runner = cluster.runner("never")
    runner.submit(LARGE, 1)
    assert runner.status(LARGE).attempt == 1
    runner.cancel(plan("label", Part()))
    assert cluster.large.asked == 0
    assert cluster.large.cancelled == []


def test_the_facts_are_read_from_the_store(tmp_path: Path) -> None:
    turning = Turning(tmp_path).begin()
    measure = Measure(turning.store)
    before = measure(plan("train", TRAIN.evolve(label_seq=0)))
    assert before is not None
    assert (before.pool, before.not_embedded, before.labels, before.own_encoders) == (60, 60, 0, 0)
    with quick_fit():
        turning.turn()
    last = turning.task.iterations()[-1]
    args = EVALUATE.evolve(version=last.version, current=None, label_seq=last.label_seq)
    after = measure(plan("evaluate", args))
    assert after is not None
    assert (after.pool, after.not_embedded, after.own_encoders) == (60, 0, 0)


def test_a_task_that_cannot_be_read_has_no_facts(tmp_path: Path) -> None:
    turning = Turning(tmp_path).begin()
    assert Measure(turning.store)(RunPlan.of("train", "w", "other", TRAIN)) is None
    assert Measure(turning.store)(RunPlan.of("train", "w", None, TRAIN)) is None
    assert Measure(turning.store)(plan("train", TRAIN.evolve(spec_rev=9))) is None
