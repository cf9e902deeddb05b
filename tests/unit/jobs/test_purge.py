"""The job that purges: what it refuses to do, what it reaches, and whom it names."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from jobs.context import JobContext, RunContext
from jobs.purge import run
from jobs.requests import plan_request
from jobs.running.measuring import Measure
from jobs.running.placement import size
from tests.unit.controller.turning import HashLoader
from tests.unit.registry.example import manifest
from tests.unit.review.scored import Row, make_task, write_run
from tornio.errors import Conflict, InvalidInput
from tornio.records import Record
from tornio.registry import NodeCache
from tornio.runs import ask_for_run, cancel_run
from tornio.schemas.jobs import AdaptArgs, LabelArgs, LearnedPart, PurgeArgs, PurgeOutput
from tornio.schemas.loop import LoopState, TrainIntent
from tornio.schemas.registry import EncoderUse
from tornio.schemas.runs import RunPlan, RunResult
from tornio.schemas.tables import EMBEDDINGS, list_column
from tornio.storage import documents
from tornio.storage.memory import MemoryStore
from tornio.tasks import Task, Tasks, delete_records

pytestmark = pytest.mark.unit
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def task(store: MemoryStore) -> Task:
    task = make_task(store, loop={"holdout_share": 0.01})
    task.add_records([Record(f"r{n}", f"Secret <{n}> words") for n in range(4)])
    return task


@pytest.fixture
def context(store: MemoryStore, tmp_path: Path) -> JobContext:
    cache = NodeCache(tmp_path, store)
    return JobContext(store, cache, HashLoader(store, cache, "float32"), Tasks(store))


def planned(context: JobContext) -> RunPlan:
    return plan_request("purge", "shop", "mood", {}, context)


def purged(context: JobContext) -> PurgeOutput:
    plan = planned(context)
    return run(PurgeArgs.model_validate(plan.args), RunContext(context, plan, 1))


def test_without_a_deletion_there_is_nothing_to_purge(context: JobContext, task: Task) -> None:
    with pytest.raises(InvalidInput, match="nothing to purge"):
        planned(context)


def test_the_same_deletions_are_the_same_run(context: JobContext, task: Task) -> None:
    delete_records(task, ["r0"], "ops")
    first = planned(context)
    task.import_labels([(Record("r1", "Secret <1> words"), ["good"])], "train", "file")
    delete_records(task, ["r0"], "ops")
    assert planned(context) == first
    delete_records(task, ["r1"], "ops")
    assert planned(context) != first


def test_a_run_from_before_the_deletion_must_end_first(context: JobContext, task: Task, store: MemoryStore) -> None:
    intent = TrainIntent(iteration=1, batches=(), label_seq=0, pool_seq=1, spec_rev=1, parent=None, started_at=NOW)
    documents.update(store, task.keys.loop, LoopState, lambda state: state.evolve(train=intent))
    delete_records(task, ["r0"], "ops")
    with pytest.raises(Conflict, match=r"train-.* was planned before the last deletion"):
        planned(context)
    later = intent.evolve(label_seq=task.labels.last_seq())
    documents.update(store, task.keys.loop, LoopState, lambda state: state.evolve(train=later))
    asked = RunPlan.of("label", "shop", "mood", LabelArgs(pool_seq=1, spec_rev=1))
    ask_for_run(store, asked, "ops", NOW)
    with pytest.raises(Conflict, match="label-"):
        planned(context)
    cancel_run(store, "shop", "mood", asked.run, "ops", NOW)
    assert planned(context).job == "purge"


def test_the_controller_can_measure_the_task_before_and_after(
    context: JobContext, task: Task, store: MemoryStore
) -> None:
    """Parts keep the name under which their embeddings stand, so that nobody plans to embed them again."""
    store.put(task.keys.embeddings(f"minilm,{task.view().parts[0].digest}"), embeddings(["r0", "r1", "r2", "r3"]))
    delete_records(task, ["r0"], "ops")
    for _ in range(2):
        measured = Measure(store)(planned(context))
        assert measured is not None
        assert (measured.pool, measured.not_embedded, size(planned(context), measured)) == (4, 0, 0)
        purged(context)


def embeddings(names: list[str]) -> bytes:
    columns = [pa.array(names), list_column(np.ones((len(names), 2), np.float32)), pa.array([False] * len(names))]
    return EMBEDDINGS.encode(pa.Table.from_arrays(columns, schema=EMBEDDINGS.columns))


def test_reports_are_written_again_and_who_learned_is_named(
    context: JobContext, task: Task, store: MemoryStore
) -> None:
    rows = [Row(f"Secret <{n}> words", ("bad",), record_id=f"f{n}") for n in range(4)]
    scored = write_run(store, rows, workspace="shop", task="mood")
    report = task.keys.run(scored).root + "report.html"
    store.put(report, b"Secret &lt;0&gt; words")
    task.import_labels([(Record("r0", "Secret <0> words"), ["good"])], "train", "file")
    made = manifest("v1").evolve(workspace="shop", task="mood", label_seq=1, pool_seq=1)
    documents.create(store, task.keys.version("v1"), made)
    base = EncoderUse(digest="ab" * 32, pooling="mean", normalise=False, max_length=32)
    args = AdaptArgs(
        pool_seq=1, label_seq=1, spec_rev=1, base=base, source="minilm", name="mine", objective="contrastive",
        epochs=1, batch_size=2, learning_rate=0.1,
    )  # fmt: skip
    adapted = RunPlan.of("adapt", "shop", "mood", args)
    ask_for_run(store, adapted, "ops", NOW)
    result = RunResult(run=adapted.run, job="adapt", attempt=1, output={}, started_at=NOW, finished_at=NOW)
    documents.create(store, adapted.run_keys.result, result)
    delete_records(task, ["r0"], "ops")
    done = purged(context)
    assert (done.deleted, done.records, done.parts, done.score_runs) == (1, 1, 1, 1)
    assert done.versions == (LearnedPart(version="v1", labelled=1, read=0),)
    assert done.encoders == ("mine",)
    page = store.get(report).body.decode()
    assert "&lt;0&gt;" not in page
    assert "&lt;1&gt;" in page
    again = purged(context)
    assert (again.records, again.parts, again.score_runs) == (0, 0, 0)
    assert (again.versions, again.encoders) == (done.versions, done.encoders), "it is still known"
