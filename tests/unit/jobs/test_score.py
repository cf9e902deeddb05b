"""Loss scoring in parts, without Ray: what comes out, what is put aside, and that a killed run goes on."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from transformers import pipeline

from bench.swapping.workshop import tiny_encoder
from jobs.context import JobContext
from jobs.parts import Done, InlineMapper
from jobs.running.execute import execute, next_attempt
from jobs.score import STAGES
from jobs.table import JOBS
from tests.checkpoints import change_config, change_weights, tiny
from tests.checkpoints import classifier as small_classifier
from tests.classifiers import tiny_classifier
from tests.unit.cli.test_commands import Tornio, backend, task, tornio
from tests.unit.gateway.fake import FakeBackend
from tornio.api import ScoreRequest, TaskName
from tornio.errors import Changed, InvalidFile, InvalidInput
from tornio.files.rows import stream_rows
from tornio.runs import RunReader, files_of, first_rows, read_file, run_out
from tornio.schemas.runs import RunPlan
from tornio.schemas.scoring import ScoreOutput
from tornio.schemas.tables import REJECTED
from tornio.scoring.measures import given_matrix
from tornio.scoring.planning import plan_score
from tornio.scoring.ranking import RANKINGS, suspicion
from tornio.scoring.results import write_scores
from tornio.scoring.scored_run import ScoredRow, ScoredRun
from tornio.storage import documents
from tornio.storage.local import LocalStore

pytestmark = pytest.mark.model
__all__ = ["backend", "task", "tornio"]  # fixtures
LABELS = ("billing", "delivery", "login")
ROWS = [(f"text number {n}, about {LABELS[n % 3]} " + "and more " * (n % 7), LABELS[(n * 5) % 3]) for n in range(53)]


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random classifier that knows the labels in another order than they are sorted in."""
    return tiny_classifier(tmp_path_factory.mktemp("classifier"), LABELS[::-1])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random encoder, for heads of its own."""
    return tiny_encoder(tmp_path_factory.mktemp("base"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "data.csv", ROWS)


def write(path: Path, rows: Sequence[tuple[str, str]]) -> Path:
    with path.open("w", newline="") as out:
        csv.writer(out).writerows([("text", "label"), *rows])
    return path


def job(folder: Path) -> JobContext:
    """A process that runs jobs over the store in this folder."""
    return JobContext.over(LocalStore(folder / "store"), folder / "cache", "float32")


def asked(data: Path, classifier: Path, **more: object) -> ScoreRequest:
    return ScoreRequest(**{"data": str(data), "model": str(classifier), "part_rows": 10, **more})


def planned(request: ScoreRequest, context: JobContext, task: TaskName | None = None) -> RunPlan:
    return plan_score(request, "w", task, context.store, context.loader)


def done(plan: RunPlan, context: JobContext) -> tuple[ScoreOutput, ScoredRun]:
    result = execute(plan, next_attempt(plan, context.store), context)
    output = ScoreOutput.model_validate(result.output)
    return output, ScoredRun(plan, output, context.store, task=None)


def rows_of(scores: ScoredRun) -> pa.Table:
    return pa.concat_tables(scores.tables())


def top(scores: ScoredRun, count: int) -> list[ScoredRow]:
    return list(islice(scores.most_suspicious(), count))


def test_every_row_has_what_the_model_says_of_its_label(tmp_path: Path, data: Path, classifier: Path) -> None:
    context = job(tmp_path)
    output, scores = done(planned(asked(data, classifier), context), context)
    assert (output.rows, output.parts, output.rejected_rows, output.labels) == (53, 6, 0, LABELS)
    rows = rows_of(scores).to_pylist()
    assert [(row["text"], row["given"]) for row in rows] == [(text, [label]) for text, label in ROWS]
    assert [row["row"] for row in rows] == list(range(53))
    reference: Any = pipeline("text-classification", str(classifier), top_k=None)([text for text, _ in ROWS])
    for row, answer in zip(rows, reference, strict=True):
        said = {one["label"]: one["score"] for one in answer}
        assert row["probabilities"] == pytest.approx([said[name] for name in LABELS], abs=1e-4)
        assert row["predicted"] == [max(said, key=lambda name: said[name])]
        assert row["loss"] == pytest.approx(-np.log(said[row["given"][0]]), abs=1e-3)
    losses = [row.loss for row in top(scores, 53)]
    assert losses == sorted((row["loss"] for row in rows), reverse=True)


def test_a_row_that_cannot_be_used_is_put_aside_and_told(tmp_path: Path, classifier: Path) -> None:
    bad = [("", "billing"), ("fine", "unheard of"), ("no label", "")]
    data = write(tmp_path / "data.csv", [*ROWS[:12], *bad, *ROWS[12:]])
    context = job(tmp_path)
    plan = planned(asked(data, classifier, labels=LABELS), context)
    output, scores = done(plan, context)
    assert (output.rows, output.rejected_rows) == (53, 3)
    body = context.store.get(plan.run_keys.part("rejected", 1)).body
    told = REJECTED.decode(body).to_pylist()
    assert [(row["row"], row["line"]) for row in told] == [(12, 14), (13, 15), (14, 16)]
    assert [row["reason"] for row in told] == [
        "no text",
        "the label 'unheard of' is none of billing, delivery, login",
        "no label",
    ]
    assert rows_of(scores).column("row").to_pylist()[11:14] == [11, 15, 16]
    with pytest.raises(InvalidFile, match="line 14: no text"):
        done(planned(asked(data, classifier, labels=LABELS, strict=True), context), context)


@pytest.mark.parametrize("more", [{}, {"model": None, "encoder": "BASE", "folds": 2}])
def test_a_part_whose_rows_are_all_put_aside_scores_nothing(
    tmp_path: Path, base: Path, classifier: Path, more: dict[str, Any]
) -> None:
    data = write(tmp_path / "data.csv", [*ROWS[:12], *[("", "billing")] * 4, *ROWS[12:]])
    context = job(tmp_path)
    more = {name: str(base) if value == "BASE" else value for name, value in more.items()}
    output, scores = done(planned(asked(data, classifier, labels=LABELS, part_rows=4, **more), context), context)
    assert (output.rows, output.rejected_rows) == (53, 4)
    assert len(rows_of(scores)) == 53


def test_a_model_without_names_needs_an_order(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    nameless = tiny_classifier(tmp_path_factory.mktemp("nameless"), tuple(f"LABEL_{n}" for n in range(3)))
    context = job(tmp_path)
    words = write(tmp_path / "words.csv", ROWS)
    with pytest.raises(InvalidInput, match=r"3 classes without names, .* billing, delivery, login .* with --labels"):
        planned(asked(words, nameless), context)
    stated = planned(asked(words, nameless, labels=("login", "billing", "delivery")), context)
    assert stated.args["labels"] == ["login", "billing", "delivery"]
    several = tiny_classifier(tmp_path_factory.mktemp("several"), tuple(f"LABEL_{n}" for n in range(12)))
    numbers = write(tmp_path / "numbers.csv", [(f"text {n}", str(n % 12)) for n in range(40)])
    assert planned(asked(numbers, several), context).args["labels"] == [str(n) for n in range(12)]


@pytest.mark.parametrize("more", [{}, {"labels": LABELS}])
def test_a_label_of_thousands_of_digits_is_no_number(tmp_path: Path, classifier: Path, more: dict[str, Any]) -> None:
    context = job(tmp_path)
    data = write(tmp_path / "data.csv", [("a text", "1" * 5000), ("another", "0")])
    if more:
        assert planned(asked(data, classifier, **more), context).args.get("numbered", False) is False
    else:
        with pytest.raises(InvalidInput, match="They must be the same"):
            planned(asked(data, classifier), context)


def test_a_classifier_is_tried_in_the_precision_of_the_run(tmp_path: Path, data: Path) -> None:
    folder = small_classifier(tmp_path / "model", LABELS, kind="Deberta")
    context = job(tmp_path)
    with pytest.MonkeyPatch.context() as machine:
        machine.setattr("tornio.models.device._computes_bfloat16", lambda: True)
        assert planned(asked(data, folder), context).args["precision"] == "float32"


def test_data_that_changes_while_it_is_read_is_told(
    tmp_path: Path, data: Path, classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = job(tmp_path)
    plan = planned(asked(data, classifier), context)
    read = stream_rows

    def changing(*args: Any, **more: Any) -> Any:
        found = read(*args, **more)
        data.write_text(data.read_text() + "one more,billing\n")
        return found

    monkeypatch.setattr("tornio.scoring.staging.stream_rows", changing)
    with pytest.raises(Changed):
        done(plan, context)


@pytest.mark.parametrize("after", [0, 1, 3, 5])
def test_a_killed_run_goes_on_and_ends_with_the_same_rows(
    tmp_path: Path, data: Path, classifier: Path, after: int
) -> None:
    undisturbed = job(tmp_path / "a")
    plan = planned(asked(data, classifier), undisturbed)
    output, scores = done(plan, undisturbed)

    class Dies(InlineMapper):
        def run(self, stage: str, plan: RunPlan, parts: Sequence[int], done: Done) -> None:
            super().run(stage, plan, parts[:after], done)
            raise Killed

    first = job(tmp_path / "b")
    assert planned(asked(data, classifier), first) == plan
    first.mapper = Dies(STAGES, first.store, first.loader)
    with pytest.raises(Killed):
        done(plan, first)
    worked: list[int] = []

    class Counts(InlineMapper):
        def run(self, stage: str, plan: RunPlan, parts: Sequence[int], done: Done) -> None:
            worked.extend(parts)
            super().run(stage, plan, parts, done)

    second = job(tmp_path / "b")
    second.mapper = Counts(STAGES, second.store, second.loader)
    again, resumed = done(plan, second)
    assert worked == list(range(after, 6))
    assert again == output
    assert rows_of(resumed).equals(rows_of(scores))


def test_an_input_that_changed_under_the_run_is_an_error(tmp_path: Path, data: Path, classifier: Path) -> None:
    context = job(tmp_path)
    plan = planned(asked(data, classifier), context)
    write(data, ROWS[:20])
    with pytest.raises(Changed, match="has changed since this run was planned"):
        done(plan, context)
    assert planned(asked(data, classifier), context).run != plan.run


def test_what_cannot_be_scored_is_told_before_anything_begins(tmp_path: Path, data: Path, classifier: Path) -> None:
    context = job(tmp_path)
    with pytest.raises(InvalidInput, match="labels login, delivery, billing, but the data has billing, other"):
        done(planned(asked(data, classifier, labels=("billing", "other")), context), context)
    with pytest.raises(InvalidInput, match="Give either --model or --cross-validate"):
        planned(asked(data, classifier, folds=3), context)
    with pytest.raises(InvalidInput, match="takes 2 models or more"):
        planned(asked(data, classifier, model=None, folds=1), context)
    with pytest.raises(InvalidInput, match="Give either --model or --encoder"):
        planned(asked(data, classifier, encoder="minilm"), context)
    ours = TaskName("w", "t")
    with pytest.raises(InvalidInput, match="w/t determines --labels and --encoder itself"):
        planned(asked(data, classifier, model=None, labels=("a", "b"), encoder="minilm"), context, ours)
    one = write(tmp_path / "one.csv", [(text, "billing") for text, _ in ROWS])
    with pytest.raises(InvalidInput, match="at least two are needed"):
        planned(asked(one, classifier), context)
    many = write(tmp_path / "many.csv", [(f"t{n}", f"label {n}") for n in range(1100)])
    with pytest.raises(InvalidInput, match="more than 1000 different labels"):
        planned(asked(many, classifier), context)


def test_cross_validated_scores_find_wrong_labels_and_a_killed_run_goes_on(tmp_path: Path) -> None:
    topics = {"billing": "invoice charge refund", "delivery": "parcel courier late", "login": "password account locked"}
    rows = [(f"{words.split()[n % 3]} {words} number {n}", label) for n in range(20) for label, words in topics.items()]
    wrong = {7, 30, 44}
    rows = [(text, LABELS[(LABELS.index(label) + (n in wrong)) % 3]) for n, (text, label) in enumerate(rows)]
    data = write(tmp_path / "data.csv", rows)
    context = job(tmp_path / "a")
    plan = planned(ScoreRequest(data=str(data), folds=4, part_rows=16, max_length=32), context)
    output, scores = done(plan, context)
    assert {row.row for row in top(scores, 3)} == wrong
    assert (output.ranking, output.suspicion) == ("suspicion", "pooled-loss")
    again = job(tmp_path / "b")
    planned(ScoreRequest(data=str(data), folds=4, part_rows=16, max_length=32), again)

    class DiesBeforeScoring(InlineMapper):
        def run(self, stage: str, plan: RunPlan, parts: Sequence[int], done: Done) -> None:
            if stage == "score":
                raise Killed
            super().run(stage, plan, parts, done)

    again.mapper = DiesBeforeScoring(STAGES, again.store, again.loader)
    with pytest.raises(Killed):
        done(plan, again)
    again.mapper, again.worker = None, "another process"
    resumed_output, resumed = done(plan, again)
    assert resumed_output == output
    assert rows_of(resumed).equals(rows_of(scores))


@pytest.mark.parametrize("ranking", [name for name in RANKINGS if name != "pooled-loss"])
def test_rows_may_be_ranked_otherwise(tmp_path: Path, data: Path, classifier: Path, ranking: str) -> None:
    context = job(tmp_path)
    output, scores = done(planned(asked(data, classifier, ranking=ranking), context), context)
    rows = rows_of(scores)
    probabilities = np.array(rows.column("probabilities").to_pylist(), np.float32)
    given = given_matrix([tuple(names) for names in rows.column("given").to_pylist()], LABELS, False)
    assert rows.column("suspicion").to_numpy() == pytest.approx(suspicion(ranking, probabilities, given, False))
    assert output.suspicion == ranking


def test_the_report_tells_of_the_rows_and_of_those_put_aside(tmp_path: Path, classifier: Path) -> None:
    data = write(tmp_path / "data.csv", [*ROWS, ("<b>bold</b>", "billing"), ("x", "unheard of"), ("y", "unknown")])
    context = job(tmp_path)
    output, scores = done(planned(asked(data, classifier, labels=LABELS), context), context)
    page = context.store.get(output.report).body.decode()
    assert "<b>bold</b>" not in page
    assert "the label … is none of" in page
    assert top(scores, 1)[0].text.split(",")[0] in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


def test_a_result_that_is_fetched_is_written_as_one_that_is_here(
    tmp_path: Path, classifier: Path, data: Path, task: Tornio, backend: FakeBackend
) -> None:
    context = job(tmp_path)
    _, scores = done(planned(asked(data, classifier), context), context)
    documents.create(context.store, scores.run_keys.plan, scores.plan)
    record = RunReader(context.store, "w", None).run(scores.run)
    rows = first_rows(context.store, record, 3)
    assert [row[-1] for row in rows.rows] == [row.text.strip() for row in top(scores, 3)]
    assert [row[0] for row in rows.rows] == [f"{row.ranking:.3f}" for row in top(scores, 3)]
    offered = JOBS["score"].files
    listed = files_of(context.store, record, offered).files
    assert {"report.html", "scores-000000.parquet", "scores-000005.parquet"} <= {file.name for file in listed}
    backend.runs.files_of[scores.run] = {
        file.name: read_file(context.store, record, offered, file.name, file.etag) for file in listed
    }
    backend.runs.held["acme/support"] = [run_out(record)]
    for name in ("all.csv", "all.jsonl", "all.parquet"):
        code, said, _ = task("run", "fetch", "acme/support", scores.run, "-o", str(tmp_path / name))
        assert (code, said) == (0, f"wrote {tmp_path / name}\n")
        write_scores(scores, tmp_path / f"here-{name}")
        assert (tmp_path / name).read_bytes() == (tmp_path / f"here-{name}").read_bytes()
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("ranking", ["pooled-loss", "confident-learning"])
def test_classes_of_one_text_do_not_rank_first(tmp_path: Path, base: Path, ranking: str) -> None:
    rows = [(f"parcel number {n} is late", "delivery") for n in range(20)]
    rows += [(f"charge number {n} is wrong", "billing") for n in range(20)]
    rows[7] = (rows[7][0], "billing")
    rare = [(f"something else {n}", f"rare {n}") for n in range(6)] + [("SOMETHING else  5", "rare 5")]
    data = write(tmp_path / "data.csv", [*rows[:10], *rare, *rows[10:]])
    context = job(tmp_path)
    request = ScoreRequest(data=str(data), encoder=str(base), folds=4, max_length=32, ranking=ranking)
    output, scores = done(planned(request, context), context)
    order = top(scores, 47)
    assert [row.unjudged for row in order] == [False] * 40 + [True] * 7
    assert {row.given[0] for row in order[40:]} == {f"rare {n}" for n in range(6)}
    assert (output.unjudged, output.unjudged_labels) == (7, tuple(f"rare {n}" for n in range(6)))
    judged = [row for row in order if not row.unjudged]
    assert output.mean_loss == pytest.approx(np.mean([row.loss for row in judged]))
    assert output.agreement == pytest.approx(np.mean([row.given == row.predicted for row in judged]))
    assert not any(row.unjudged for row in scores.most_suspicious(above_loss=0.0))
    page = context.store.get(output.report).body.decode()
    assert "7 rows have a label that no other text has" in page
    assert "rare 5 (2)" in page
    scores_file = tmp_path / "out.csv"
    write_scores(scores, scores_file)
    assert not {"nan", "inf", "-inf"} & set(scores_file.read_text().lower().replace("\n", ",").split(","))


def test_every_class_of_one_text(tmp_path: Path, base: Path) -> None:
    data = write(tmp_path / "data.csv", [(f"text {n}", f"label {n}") for n in range(8)])
    context = job(tmp_path)
    output, _ = done(planned(ScoreRequest(data=str(data), encoder=str(base), folds=2), context), context)
    assert (output.unjudged, output.agreement, output.mean_loss) == (8, 0.0, 0.0)


def test_whole_numbers_are_the_classes_of_a_model_that_names_them(tmp_path: Path) -> None:
    model = small_classifier(tmp_path / "model", ("bad", "good"))
    context = job(tmp_path)
    numbers = write(tmp_path / "numbers.csv", [(f"text {n}", str(n % 2)) for n in range(6)])
    names = write(tmp_path / "names.csv", [(f"text {n}", ("bad", "good")[n % 2]) for n in range(6)])
    _, plain = done(planned(asked(names, model), context), context)
    for more in ({}, {"labels": ("bad", "good")}):
        output, scores = done(planned(asked(numbers, model, **more), context), context)
        assert output.labels == ("bad", "good")
        for column in ("given", "loss"):
            assert rows_of(scores).column(column).to_pylist() == rows_of(plain).column(column).to_pylist()
    output, scores = done(planned(asked(numbers, model, labels=("good", "bad")), context), context)
    assert rows_of(scores).column("given").to_pylist()[:2] == [["good"], ["bad"]]  # as --labels numbers them


@pytest.mark.parametrize("labels", [("1", "2"), ("0", "1", "2", "3")])
def test_numbers_that_need_not_be_classes_are_not_taken_for_them(tmp_path: Path, labels: tuple[str, ...]) -> None:
    model = small_classifier(tmp_path / "model", ("bad", "good", "odd"))
    data = write(tmp_path / "data.csv", [(f"text {n}", labels[n % len(labels)]) for n in range(8)])
    with pytest.raises(InvalidInput, match="The model has the labels bad, good, odd"):
        planned(asked(data, model), job(tmp_path))


def test_data_need_not_have_every_class_of_a_model(tmp_path: Path) -> None:
    model = small_classifier(tmp_path / "model", ("bad", "good", "odd"))
    data = write(tmp_path / "data.csv", [(f"text {n}", ("good", "bad")[n % 2]) for n in range(6)])
    assert planned(asked(data, model), job(tmp_path)).args["labels"] == ["bad", "good", "odd"]


@pytest.mark.parametrize(
    ("labels", "config", "more", "message"),
    [
        (("bad", "good"), {"problem_type": "multi_label_classification"}, {}, "with --multi-label"),
        (("bad", "good"), {"problem_type": "single_label_classification"}, {"multi_label": True}, "Leave out"),
        (("bad", "good"), {"problem_type": "regression"}, {}, "regression"),
        (("toxic",), {"problem_type": "regression"}, {"labels": ("toxic",)}, "regression"),
        (("toxic",), {}, {"labels": ("toxic",)}, "--labels NO,YES"),
        (("bad", "good"), {}, {"labels": ("bad",)}, "must be the same"),
    ],
)
def test_what_a_model_says_of_its_outputs_is_heeded(
    tmp_path: Path, labels: tuple[str, ...], config: dict[str, str], more: dict[str, Any], message: str
) -> None:
    model = small_classifier(tmp_path / "model", labels, **config)
    data = write(tmp_path / "data.csv", [(f"text {n}", ("bad", "good")[n % 2]) for n in range(6)])
    with pytest.raises(InvalidInput, match=message):
        planned(asked(data, model, **more), job(tmp_path))


def test_outputs_become_what_the_model_was_trained_for(tmp_path: Path) -> None:
    data = write(tmp_path / "data.csv", [(f"the parcel {n}", ("bad", "good")[n % 2]) for n in range(6)])
    several = small_classifier(tmp_path / "several", ("bad", "good"), problem_type="multi_label_classification")
    one = small_classifier(tmp_path / "one", ("good",))
    context = job(tmp_path)
    for folder, more in ((several, {"multi_label": True}), (one, {"labels": ("bad", "good")})):
        _, scores = done(planned(asked(data, folder, **more), context), context)
        reference: Any = pipeline("text-classification", str(folder), top_k=None, function_to_apply="sigmoid")
        answer = {row["label"]: row["score"] for row in reference(["the parcel 0"])[0]}
        first = dict(zip(("bad", "good"), rows_of(scores).column("probabilities").to_pylist()[0], strict=True))
        assert first["good"] == pytest.approx(answer["good"], abs=1e-5)
        assert first["bad"] == pytest.approx(answer.get("bad", 1 - answer["good"]), abs=1e-5)


def test_one_class_is_no_classification(tmp_path: Path, base: Path) -> None:
    data = write(tmp_path / "data.csv", [(f"text {n}", "toxic") for n in range(6)])
    request = ScoreRequest(data=str(data), encoder=str(base), folds=2, labels=("toxic",))
    with pytest.raises(InvalidInput, match="at least two labels are needed"):
        planned(request, job(tmp_path))


def test_a_checkpoint_without_its_head_is_refused_before_anything_begins(tmp_path: Path, data: Path) -> None:
    folder = change_config(tiny(tmp_path / "model"), id2label=dict(enumerate(LABELS)))
    context = job(tmp_path)
    with pytest.raises(InvalidInput, match=r"it lacks classifier\.bias, classifier\.weight"):
        planned(asked(data, folder), context)
    change_weights(folder, lambda tensors: {f"x.{name}": tensor for name, tensor in tensors.items()})
    with pytest.raises(InvalidInput, match="it lacks embeddings"):
        planned(ScoreRequest(data=str(data), encoder=str(folder)), job(tmp_path / "b"))
