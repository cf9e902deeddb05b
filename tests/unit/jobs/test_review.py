"""The jobs that show rows of a score run to annotators and take up their answers, on an annotation tool in memory."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from jobs.context import JobContext
from jobs.requests import plan_request
from jobs.running.execute import execute
from jobs.running.placement import PlacedRunner
from tests.unit.controller.turning import HashLoader
from tests.unit.jobs.test_placement import Place
from tests.unit.review.scored import make_task, mood, write_run
from tornio.annotation.fake import FakeAnnotationTool
from tornio.annotation.port import DatasetSpec
from tornio.errors import InvalidInput, NotFound
from tornio.records import Record
from tornio.registry import NodeCache
from tornio.review.export import write_fetched
from tornio.schemas.review import ReviewExportOutput, ReviewSendOutput, ReviewSyncOutput
from tornio.schemas.runs import RunPlan
from tornio.spec import LabelSpec
from tornio.storage import documents
from tornio.storage.memory import MemoryStore
from tornio.tasks import Task, Tasks, delete_records, training_set

pytestmark = pytest.mark.unit


@pytest.fixture
def tool() -> FakeAnnotationTool:
    return FakeAnnotationTool()


@pytest.fixture
def context(tmp_path: Path, tool: FakeAnnotationTool) -> JobContext:
    store = MemoryStore()
    cache = NodeCache(tmp_path, store)
    loader = HashLoader(store, cache, "float32")
    return JobContext(store, cache, loader, Tasks(store), annotation=lambda: nullcontext(tool))


@pytest.fixture
def task(context: JobContext) -> Task:
    return make_task(context.store, loop={"holdout_share": 0.01})


@pytest.fixture
def scored(task: Task) -> str:
    return write_run(task.store, mood(5), workspace="shop", task="mood")


def planned(context: JobContext, job: str, **asked: Any) -> RunPlan:
    return plan_request(job, "shop", "mood", asked, context)


def done(context: JobContext, plan: RunPlan) -> dict[str, Any]:
    documents.create_or_get(context.store, plan.run_keys.plan, plan)
    return execute(plan, 1, context).output


def sent(context: JobContext, **asked: Any) -> ReviewSendOutput:
    return ReviewSendOutput.model_validate(done(context, planned(context, "review-send", **asked)))


def synced(context: JobContext, run: str) -> ReviewSyncOutput:
    return ReviewSyncOutput.model_validate(done(context, planned(context, "review-sync", run=run)))


def test_rows_are_shown_and_the_answers_become_labels_of_the_task(
    context: JobContext, task: Task, scored: str, tool: FakeAnnotationTool
) -> None:
    first = sent(context, run=scored, top=2, name="mine")
    assert (first.workspace, first.dataset, first.rows, first.new) == ("shop", "mine", 2, 2)
    more = sent(context, run=scored, top=3)
    assert (more.dataset, more.rows, more.new) == ("mine", 3, 1)
    tool.answer("shop", "mine", "r4", "ann", ["good"])
    tool.answer("shop", "mine", "r3", "ann", ["bad"])
    now = synced(context, scored)
    assert now == ReviewSyncOutput(shown=3, reviewed=2, changed=1, discarded=0, disputed=0, precision=0.5)
    fresh = Tasks(context.store).open("shop", "mood")
    said = training_set(fresh, fresh.labels.last_seq(), fresh.pool.last_seq())
    assert dict(zip(said.record_ids, said.labels, strict=True)) == {"r4": ("good",), "r3": ("bad",)}


def test_the_same_request_acts_again_and_brings_back_a_data_set_that_was_deleted(
    context: JobContext, scored: str, tool: FakeAnnotationTool
) -> None:
    sent(context, run=scored, top=2, name="mine")
    tool.delete_dataset("shop", "mine")
    with pytest.raises(NotFound, match=f"tornio review send {scored} --task shop/mood. creates"):
        planned(context, "review-sync", run=scored)
    assert sent(context, run=scored, top=2).rows == 2
    assert set(tool.records("shop", "mine")) == {"r3", "r4"}


def test_while_nothing_changes_asking_for_the_answers_is_the_same_run(
    context: JobContext, scored: str, tool: FakeAnnotationTool
) -> None:
    sent(context, run=scored, name="mine")
    before = planned(context, "review-sync", run=scored)
    assert planned(context, "review-sync", run=scored) == before
    tool.answer("shop", "mine", "r4", "ann", ["good"])
    assert planned(context, "review-sync", run=scored) != before


def test_a_name_that_cannot_be_used_leaves_nothing_behind(
    context: JobContext, task: Task, scored: str, tool: FakeAnnotationTool
) -> None:
    asked = DatasetSpec("shop", "reviews", (LabelSpec(name="good"), LabelSpec(name="bad")), False, "", 1)
    tool.ensure_dataset(asked)  # as of a task in which people are labelling
    with pytest.raises(InvalidInput, match="Use another name"):
        sent(context, run=scored, top=2, name="reviews")
    assert sent(context, run=scored, top=2, name="mine").dataset == "mine"


def test_a_review_has_a_size_that_people_and_the_server_can_bear(
    context: JobContext, scored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidInput, match="10000"):
        planned(context, "review-send", run=scored, top=10_001)
    monkeypatch.setattr("tornio.review.send.REVIEW_MOST", 3)
    with pytest.raises(InvalidInput, match="4 rows have a loss above the quantile 0, but a review shows at most 3"):
        sent(context, run=scored, loss_quantile=0)
    assert sent(context, run=scored, loss_quantile=0.5).rows == 2


def test_what_is_wrong_with_a_request_is_said_before_a_run_begins(context: JobContext, task: Task, scored: str) -> None:
    with pytest.raises(InvalidInput, match="Give top or loss_quantile, not both"):
        planned(context, "review-send", run=scored, top=3, loss_quantile=0.5)
    with pytest.raises(NotFound, match=f"tornio review send {scored} --task shop/mood"):
        planned(context, "review-sync", run=scored)
    send = planned(context, "review-send", run=scored)
    documents.create_or_get(context.store, send.run_keys.plan, send)
    with pytest.raises(InvalidInput, match="Only score runs can be reviewed"):
        planned(context, "review-send", run=send.run)


def test_the_corrected_set_and_the_report_are_written_for_the_present_answers(
    context: JobContext, task: Task, scored: str, tool: FakeAnnotationTool, tmp_path: Path
) -> None:
    nobody = planned(context, "review-export", run=scored)
    assert ReviewExportOutput.model_validate(done(context, nobody)).reviewed.shown == 0
    sent(context, run=scored, top=2, name="mine")
    shown = planned(context, "review-export", run=scored)
    assert shown != nobody
    assert done(context, shown)["reviewed"]["shown"] == 2
    tool.answer("shop", "mine", "r4", "ann", ["good"])
    synced(context, scored)
    plan = planned(context, "review-export", run=scored)
    assert plan != shown
    output = ReviewExportOutput.model_validate(done(context, plan))
    assert planned(context, "review-export", run=scored) == plan
    assert (output.run, output.rows, output.multi_label, output.model) == (scored, 5, False, "v0001-ab")
    assert (output.reviewed.shown, output.reviewed.reviewed, output.reviewed.changed) == (2, 1, 1)
    assert b"text number 4" in context.store.get(plan.run_keys.root + "report.html").body
    path = tmp_path / "corrected.jsonl"
    write_fetched(plan, output.model_dump(), context.store, path, True)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["corrected_label"] for row in rows] == [*["bad"] * 4, "good"]
    assert [row["review"] for row in rows] == [*["unreviewed"] * 4, "changed"]
    context.store.delete([plan.run_keys.part("corrected", 0)])  # as a purge that was killed
    with pytest.raises(InvalidInput, match="3 of the 5 rows are missing"):
        write_fetched(plan, output.model_dump(), context.store, path, True)


def test_a_report_never_has_a_text_that_the_corrected_set_lacks(
    context: JobContext, task: Task, scored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task.add_records([Record(f"r{n}", f"text number {n}") for n in range(5)])
    plan = planned(context, "review-export", run=scored)
    done(context, plan)
    context.store.delete([plan.run_keys.result])
    delete_records(task, ["r2"], "ops")

    def killed(_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("tornio.review.export.run_report", killed)
    with pytest.raises(KeyboardInterrupt):
        execute(plan, 2, context)
    kept = [context.store.get(info.key).body for info in context.store.list(plan.run_keys.root)]
    assert not any(b"text number 2" in body for body in kept)


def test_a_purge_takes_the_text_out_of_what_was_exported(context: JobContext, task: Task, scored: str) -> None:
    task.add_records([Record(f"r{n}", f"text number {n}") for n in range(5)])
    before = planned(context, "review-export", run=scored)
    done(context, before)
    delete_records(task, ["r2"], "ops")
    done(context, planned(context, "purge"))
    left = [info.key.rpartition("/")[2] for info in context.store.list(before.run_keys.root)]
    assert sorted(left) == ["plan.json", "result.json", "started.json"]
    assert done(context, planned(context, "review-export", run=scored))["rows"] == 4


@pytest.mark.parametrize("job", ["review-send", "review-sync", "review-export"])
def test_the_runs_of_other_tasks_are_out_of_reach(context: JobContext, task: Task, job: str) -> None:
    make_task(context.store, name="other")
    of_other = write_run(context.store, mood(3), workspace="shop", task="other")
    of_nobody = write_run(context.store, mood(3), workspace="shop")
    for run in (of_other, of_nobody):
        with pytest.raises(NotFound, match="shop/mood has no run"):
            planned(context, job, run=run)


def test_only_the_warm_worker_has_the_key_of_the_annotation_tool(context: JobContext, scored: str) -> None:
    warm, large = Place(), Place()
    plan = planned(context, "review-send", run=scored)
    PlacedRunner(warm, large, lambda _: None, "always").submit(plan, 1)
    assert (list(warm.runs), large.runs) == ([plan.run], {})
