"""Predicting a data set in parts, without Ray and with a model that needs no network: what is written, and when."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.context import JobContext, RunContext
from jobs.parts import Done, InlineMapper
from jobs.predict import STAGES
from jobs.predict import plan as plan_on_cluster
from jobs.purge import run as purge
from jobs.requests import plan_request
from jobs.running.execute import execute, next_attempt
from jobs.table import JOBS
from tests.unit.registry.example import manifest
from tests.unit.review.scored import LABELS, make_task
from tornio.api import RUN_FILE_PATTERN, PredictRequest, TaskName
from tornio.arrays import FloatMatrix
from tornio.errors import Changed, Forbidden, InvalidFile, InvalidInput, NotFound, NotServable
from tornio.files import Options, open_data
from tornio.files.predicted import Shown, answer_of
from tornio.models.decide import decide_labels
from tornio.models.loading import Loader
from tornio.models.port import Scores
from tornio.pool import Pool
from tornio.records import Record
from tornio.registry import CURRENT, NodeCache, Registry
from tornio.runs import RunReader, files_of, first_rows, read_file
from tornio.schemas.jobs import PurgeArgs
from tornio.schemas.registry import Manifest
from tornio.schemas.runs import RunPlan
from tornio.schemas.scoring import PredictArgs, PredictOutput
from tornio.schemas.tables import REJECTED
from tornio.scoring.predicting.planning import plan_predict
from tornio.storage import documents
from tornio.storage.memory import MemoryStore
from tornio.storage.port import ObjectStore
from tornio.tasks import Task, Tasks, delete_records

pytestmark = pytest.mark.unit

NAME = TaskName("shop", "mood")
TEXTS = [f"text number {n} of a data set" for n in range(23)]


class Killed(BaseException):
    """The process ends here."""


class Hashed:
    """A model whose probabilities follow from the letters of a text. ``seen``: the texts that it was asked about."""

    thresholds = {"bad": 0.2}

    def __init__(self) -> None:
        self.seen: list[str] = []

    def score(self, texts: Sequence[str]) -> Scores:
        self.seen += texts
        return Scores(_p(texts), _p(texts), np.array([len(text) > 40 for text in texts], dtype=bool))


class FakeLoader(Loader):
    """The real loader, but for the model of a version."""

    used: Hashed
    loaded: list[str]

    def model(self, manifest: Manifest) -> Any:
        self.loaded.append(manifest.version)
        return self.used


def _p(texts: Sequence[str]) -> FloatMatrix:
    raw = np.array([[1 + crc32(f"{text}{j}".encode()) % 97 for j in range(len(LABELS))] for text in texts], np.float32)
    return np.asarray(raw / raw.sum(axis=1, keepdims=True), np.float32).reshape(len(texts), len(LABELS))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def task(store: MemoryStore) -> Task:
    task = make_task(store)
    serve(task, "v1")
    return task


@pytest.fixture
def context(store: MemoryStore, tmp_path: Path) -> JobContext:
    return job(store, tmp_path / "cache")


def job(store: ObjectStore, cache: Path) -> JobContext:
    """A process that runs jobs."""
    node = NodeCache(cache, store)
    loader = FakeLoader(store, node, "float32")
    loader.used, loader.loaded = Hashed(), []
    return JobContext(store, node, loader, Tasks(store))


def model_of(context: JobContext) -> Hashed:
    assert isinstance(context.loader, FakeLoader)
    return context.loader.used


def serve(task: Task, version: str, **changes: Any) -> None:
    made = manifest(version).evolve(workspace="shop", task="mood", labels=LABELS, label_seq=0, **changes)
    documents.create(task.store, task.keys.version(version), made)
    registry = Registry(task.store, task.keys)
    now = registry.alias(CURRENT)
    registry.move(CURRENT, version, 0 if now is None else now.revision, "ops", "because")


def write(path: Path, texts: Sequence[str] = TEXTS) -> Path:
    with path.open("w", newline="") as out:
        csv.writer(out).writerows([("id", "text", "when"), *((n, text, f"day {n}") for n, text in enumerate(texts))])
    return path


def planned(context: JobContext, **asked: Any) -> RunPlan:
    request = PredictRequest(**{"part_rows": 5, **asked})
    return plan_predict(request, "shop", NAME, context.store, context.loader)


def done(plan: RunPlan, context: JobContext) -> PredictOutput:
    documents.create_or_get(context.store, plan.run_keys.plan, plan)
    return PredictOutput.model_validate(execute(plan, next_attempt(plan, context.store), context).output)


def rows_of(key: str, store: ObjectStore, folder: Path) -> list[dict[str, Any]]:
    """The rows of a file that was written, as any reader of files sees them."""
    path = folder / key.rpartition("/")[2]
    store.download(key, path)
    return [row.values for row in open_data(path, Options(), key).read(()) if isinstance(row.values, dict)]


def expected(texts: Sequence[str], **shown: Any) -> list[Any]:
    chosen = decide_labels(_p(texts), LABELS, False)
    return [
        answer_of("v1", names, dict(zip(LABELS, p, strict=True)), several=False, truncated=False, shown=Shown(**shown))
        for names, p in zip(chosen, _p(texts).tolist(), strict=True)
    ]


def test_the_first_rows_are_shown_and_the_files_can_be_fetched(
    tmp_path: Path, context: JobContext, task: Task, store: MemoryStore
) -> None:
    plan = planned(context, data=str(write(tmp_path / "tickets.csv", [" ", *TEXTS, "and  one\nwith lines " * 20])))
    output = done(plan, context)
    record = RunReader(store, "shop", "mood").run(plan.run)
    top = first_rows(store, record, 3)
    assert top.columns == ["label", "score", "text"]
    wanted = expected(TEXTS[:3])
    assert top.rows == [[one.labels[0], f"{one.score:.3f}", text] for one, text in zip(wanted, TEXTS, strict=False)]
    assert len(first_rows(store, record, 20).rows) == 4  # of the first part, where a row was put aside
    offered = JOBS["predict"].files
    files = files_of(store, record, offered).files
    assert files[0].name == "predicted-000000-tickets.csv"
    assert re.fullmatch(RUN_FILE_PATTERN, files[0].name)
    body = read_file(store, record, offered, files[0].name, files[0].etag)
    assert body == store.get(output.predicted[0]).body
    assert body[:9] + read_file(store, record, offered, files[0].name, files[0].etag, 9) == body


def test_the_first_rows_are_of_the_first_part_that_has_any(
    tmp_path: Path, context: JobContext, task: Task, store: MemoryStore
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder / "a.csv", [" ", ""])
    write(folder / "b.csv", TEXTS[:2])
    plan = planned(context, data=str(folder))
    done(plan, context)
    rows = first_rows(store, RunReader(store, "shop", "mood").run(plan.run), 20).rows
    assert [text for _, _, text in rows] == TEXTS[:2]


@pytest.mark.parametrize("format", ["parquet", "csv", "tsv", "jsonl"])
def test_all_columns_are_kept_and_each_row_has_its_answer(
    tmp_path: Path, context: JobContext, task: Task, format: str
) -> None:
    data = write(tmp_path / "tickets of may.csv")
    plan = planned(context, data=str(data), format=format, probabilities=True)
    output = done(plan, context)
    assert (output.rows, output.parts, output.rejected_rows, output.version) == (23, 5, 0, "v1")
    assert output.predicted == (plan.run_keys.folder("predicted") + f"000000-tickets_of_may.{format}",)
    rows = rows_of(output.predicted[0], context.store, tmp_path)
    answers = expected(TEXTS, all=True)
    assert [row["text"] for row in rows] == TEXTS
    assert [(row["id"], row["when"]) for row in rows] == [(str(n), f"day {n}") for n in range(23)]
    assert [row["label"] for row in rows] == [answer.labels[0] for answer in answers]
    assert [float(row["score"]) for row in rows] == pytest.approx([answer.score for answer in answers])
    of_bad = [float(row["probabilities"]["bad"] if format == "jsonl" else row["p(bad)"]) for row in rows]
    assert of_bad == pytest.approx(_p(TEXTS)[:, 0].tolist(), rel=1e-6)
    assert {row["version"] for row in rows} == {"v1"}
    assert output.labels == {name: sum(answer.labels == (name,) for answer in answers) for name in LABELS}
    assert output.mean_certainty == pytest.approx(np.mean([answer.certainty for answer in answers]))


@pytest.mark.parametrize(
    ("names", "format"),
    [
        (["a.csv", "b.csv"], "csv"),
        (["a.tab", "b.tsv"], "tsv"),
        (["a.ndjson"], "jsonl"),
        (["a.PQ"], "parquet"),
        (["a.arrow"], "parquet"),
        (["a.csv", "b.tsv"], "parquet"),
    ],
)
def test_what_is_written_has_the_format_of_the_data(
    tmp_path: Path, context: JobContext, task: Task, names: list[str], format: str
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in names:
        (folder / name).write_text("text\na\n")
    found = [planned(context, data=str(folder)), planned(context, data=str(folder), format="jsonl")]
    assert [PredictArgs.model_validate(plan.args).format for plan in found] == [format, "jsonl"]


def test_each_file_of_a_folder_becomes_a_file_with_its_own_columns_and_types(
    tmp_path: Path, context: JobContext, task: Task
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder / "a.csv", [*TEXTS[:7], " ", *TEXTS[7:9]])
    typed = pa.table({"text": TEXTS[9:], "stars": pa.array(range(14), pa.int8())})
    pq.write_table(typed, folder / "b.parquet")
    plan = planned(context, data=str(folder))
    output = done(plan, context)
    assert (output.rows, output.rejected_rows, output.parts) == (23, 1, 5)
    assert output.first_rejected == f"{folder / 'a.csv'}, line 9: no text"
    told = REJECTED.decode(context.store.get(plan.run_keys.part("rejected", 1)).body).to_pylist()
    assert [(row["row"], row["line"]) for row in told] == [(7, 9)]
    first, second = (rows_of(key, context.store, tmp_path) for key in output.predicted)
    assert [row["text"] for row in first + second] == TEXTS
    assert [row["label"] for row in first + second] == [answer.labels[0] for answer in expected(TEXTS)]
    assert ("when" in first[0], "when" in second[0]) == (True, False)
    schema = pq.read_schema(pa.BufferReader(context.store.get(output.predicted[1]).body))
    assert schema.field("stars").type == pa.int8()


def test_the_least_certain_rows_may_come_first(tmp_path: Path, context: JobContext, task: Task) -> None:
    output = done(planned(context, data=str(write(tmp_path / "a.csv")), sort="least-certain", top_k=2), context)
    rows = rows_of(output.predicted[0], context.store, tmp_path)
    assert {row["text"] for row in rows} == set(TEXTS)
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores)
    assert all(row["score_1"] == row["score"] >= row["score_2"] for row in rows)


def test_several_labels_follow_the_thresholds_of_the_version(tmp_path: Path, context: JobContext, task: Task) -> None:
    serve(task, "v2", multi_label=True)
    output = done(planned(context, data=str(write(tmp_path / "a.csv")), format="parquet"), context)
    rows = rows_of(output.predicted[0], context.store, tmp_path)
    chosen = decide_labels(_p(TEXTS), LABELS, True, Hashed.thresholds)
    assert [tuple(row["labels"]) for row in rows] == chosen


@pytest.mark.parametrize(
    ("stage", "after"), [("predict", 0), ("predict", 2), ("predict", 5), ("write", 0), ("write", 1)]
)
def test_a_killed_run_goes_on_and_ends_with_the_same_files(
    tmp_path: Path, task: Task, store: MemoryStore, context: JobContext, stage: str, after: int
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder / "a.csv", TEXTS[:12])
    write(folder / "b.csv", TEXTS[12:])
    plan = planned(context, data=str(folder), format="csv")
    output = done(plan, context)
    whole = [store.get(key).body for key in output.predicted]
    store.delete([info.key for info in list(store.list(plan.run_keys.root))])

    class Dies(InlineMapper):
        def run(self, now: str, plan: RunPlan, parts: Sequence[int], done: Done) -> None:
            super().run(now, plan, parts[:after] if now == stage else parts, done)
            if now == stage:
                raise Killed

    first = job(store, tmp_path / "b")
    first.mapper = Dies(STAGES, first.store, first.loader)
    with pytest.raises(Killed):
        done(plan, first)
    second = job(store, tmp_path / "c")
    assert done(plan, second) == output
    assert [store.get(key).body for key in output.predicted] == whole
    assert sorted(model_of(first).seen + model_of(second).seen) == sorted(TEXTS), "no text is predicted twice"


def test_one_version_predicts_all_rows_also_when_another_begins_to_serve(
    tmp_path: Path, context: JobContext, task: Task
) -> None:
    plan = planned(context, data=str(write(tmp_path / "a.csv")))
    serve(task, "v2")
    assert done(plan, context).version == "v1"
    assert isinstance(context.loader, FakeLoader)
    assert set(context.loader.loaded) == {"v1"}
    later = planned(context, data=str(tmp_path / "a.csv"))
    assert later.args["version"] == "v2"
    assert planned(context, data=str(tmp_path / "a.csv"), version="v1") == plan


def test_the_pool_is_predicted_part_by_part_without_what_was_deleted(
    tmp_path: Path, context: JobContext, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [Record(f"r{n}", text, {"stars": n}) for n, text in enumerate(TEXTS)]
    task.add_records(records[:9])
    task.add_records(records[9:])
    before = planned(context, pool=True)
    delete_records(task, ["r3", "r20"], "ops")
    plan = planned(context, pool=True)
    assert plan != before

    def whole(*_: object) -> None:
        raise AssertionError("the pool is not read as a whole")

    monkeypatch.setattr(Pool, "read", whole)
    output = done(plan, context)
    rows = rows_of(output.predicted[0], context.store, tmp_path)
    left = [n for n in range(23) if n not in (3, 20)]
    assert (output.rows, output.rejected_rows) == (21, 0)
    assert [row["record_id"] for row in rows] == [f"r{n}" for n in left]
    assert [json.loads(row["metadata"]) for row in rows] == [{"stars": n} for n in left]
    assert [row["label"] for row in rows] == [answer.labels[0] for answer in expected([TEXTS[n] for n in left])]


def test_what_is_deleted_while_a_run_is_under_way_is_not_written(
    tmp_path: Path, context: JobContext, task: Task
) -> None:
    task.add_records([Record(f"r{n}", text) for n, text in enumerate(TEXTS)])
    plan = planned(context, pool=True)

    class Deletes(InlineMapper):
        def run(self, now: str, plan: RunPlan, parts: Sequence[int], done: Done) -> None:
            super().run(now, plan, parts, done)
            if now == "predict":
                delete_records(task, ["r7"], "ops")

    context.mapper = Deletes(STAGES, context.store, context.loader)
    rows = rows_of(done(plan, context).predicted[0], context.store, tmp_path)
    assert [row["record_id"] for row in rows] == [f"r{n}" for n in range(23) if n != 7]
    assert [row["label"] for row in rows] == [answer.labels[0] for answer in expected(TEXTS[:7] + TEXTS[8:])]


def test_a_purge_deletes_the_files_that_hold_a_deleted_text(tmp_path: Path, context: JobContext, task: Task) -> None:
    task.add_records([Record(f"r{n}", text) for n, text in enumerate(TEXTS[:6])])
    of_pool = done(planned(context, pool=True), context)
    of_file = done(planned(context, data=str(write(tmp_path / "a.csv", TEXTS[:6]))), context)
    other = done(planned(context, data=str(write(tmp_path / "b.csv", TEXTS[6:]))), context)
    delete_records(task, ["r2"], "ops")
    plan = plan_request("purge", "shop", "mood", {}, context)
    purged = purge(PurgeArgs.model_validate(plan.args), RunContext(context, plan, 1))
    assert purged.score_runs == 2
    there = [context.store.head(output.predicted[0]) is not None for output in (of_pool, of_file, other)]
    assert there == [False, False, True]
    assert all(TEXTS[2].encode() not in context.store.get(info.key).body for info in context.store.list("shop/"))
    again = done(planned(context, pool=True), context)
    assert [row["record_id"] for row in rows_of(again.predicted[0], context.store, tmp_path)] == [
        "r0", "r1", "r3", "r4", "r5"
    ]  # fmt: skip


def test_columns_that_cannot_be_written_are_told_before_anything_is_computed(
    tmp_path: Path, context: JobContext, task: Task
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\none,bad\n")
    with pytest.raises(InvalidInput, match=r"a column 'label', .* --prefix predicted_"):
        done(planned(context, data=str(path)), context)
    pq.write_table(pa.table({"text": ["a"], "escaped": ["b"]}), tmp_path / "b.parquet")
    with pytest.raises(InvalidInput, match="column 'escaped'"):
        done(planned(context, data=str(tmp_path / "b.parquet"), format="csv"), context)
    with pytest.raises(InvalidFile, match="no text"):
        done(planned(context, data=str(write(tmp_path / "c.csv", ["a", ""])), strict=True), context)
    with pytest.raises(InvalidFile, match=r"no row .* can be used"):
        done(planned(context, data=str(write(tmp_path / "d.csv", ["", ""]))), context)
    assert model_of(context).seen == []
    prefixed = done(planned(context, data=str(path), prefix="predicted_"), context)
    assert {"label", "predicted_label"} <= set(rows_of(prefixed.predicted[0], context.store, tmp_path)[0])


def test_a_file_that_changes_before_it_is_written_again_is_an_error(
    tmp_path: Path, context: JobContext, task: Task
) -> None:
    path = write(tmp_path / "a.csv")
    plan = planned(context, data=str(path))

    class Changes(InlineMapper):
        def run(self, now: str, plan: RunPlan, parts: Sequence[int], done: Done) -> None:
            super().run(now, plan, parts, done)
            write(path, TEXTS[::-1])

    context.mapper = Changes(STAGES, context.store, context.loader)
    with pytest.raises(Changed, match="has changed"):
        done(plan, context)
    assert not list(context.store.list(plan.run_keys.folder("predicted")))


@pytest.mark.parametrize(
    ("asked", "error", "says"),
    [
        ({}, InvalidInput, "either --data or --pool"),
        ({"data": "FILE", "pool": True}, InvalidInput, "either --data or --pool"),
        ({"data": "FILE", "version": "v1", "model": "m"}, InvalidInput, "either --model or --version"),
        ({"data": "FILE", "max_length": 64}, InvalidInput, "Leave out --max-length"),
        ({"data": "FILE", "top_k": 2, "probabilities": True}, InvalidInput, "or --top-k"),
        ({"data": "FILE", "version": "v9"}, NotFound, "no version and no alias 'v9'"),
        ({"pool": True}, InvalidInput, "the pool of shop/mood is empty"),
    ],
)
def test_a_request_that_cannot_be_met_says_why(
    tmp_path: Path, context: JobContext, task: Task, asked: dict[str, Any], error: type[Exception], says: str
) -> None:
    path = str(write(tmp_path / "a.csv"))
    with pytest.raises(error, match=says):
        planned(context, **{name: path if value == "FILE" else value for name, value in asked.items()})


def test_a_task_without_a_version_cannot_predict(tmp_path: Path, context: JobContext, store: MemoryStore) -> None:
    make_task(store)
    with pytest.raises(NotServable, match="no current version yet"):
        planned(context, data=str(write(tmp_path / "a.csv")))


def test_a_run_on_the_cluster_reads_s3_alone_and_no_other_workspace(
    context: JobContext, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidInput, match=r"neither in S3 nor an upload.*tornio predict shop/mood FILE --output OUT"):
        plan_request("predict", "shop", "mood", {"data": "/etc/passwd"}, context)
    monkeypatch.setenv("TORNIO_S3_BUCKET", "tornio")
    for asked in ({"data": "s3://tornio/other/data.csv"}, {"data": "s3://elsewhere/data.csv", "model": "/etc"}):
        with pytest.raises(Forbidden):
            plan_on_cluster(PredictRequest.model_validate(asked), NAME, context)


def test_columns_named_by_the_user_are_used(tmp_path: Path, context: JobContext, task: Task) -> None:
    path = tmp_path / "a.csv"
    path.write_text("one;two\nx;first text\ny;second text\n")
    output = done(planned(context, data=str(path), text_column="two", delimiter=";"), context)
    assert model_of(context).seen == ["first text", "second text"]
    assert [row["one"] for row in rows_of(output.predicted[0], context.store, tmp_path)] == ["x", "y"]
