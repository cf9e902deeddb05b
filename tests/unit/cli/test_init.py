"""`tornio init`: from a file of anybody to a task.yaml, and commands that work as they are printed."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.unit.gateway.fake import ADMIN, AppTransport, FakeBackend, app_of
from tornio.api import TaskName
from tornio.cli import main
from tornio.client import Client
from tornio.spec import TaskSpec
from tornio.specfile import read_spec

pytestmark = pytest.mark.unit

REVIEWS = "review_id,stars,opinion,label\n" + "".join(
    f"r{n},{n % 5},This is what customer {n} says about the lid,{('praise', 'complaint')[n % 2]}\n" for n in range(60)
)


class Tornio(Protocol):
    """Runs a command and returns its exit code, standard output and standard error."""

    def __call__(self, *argv: object) -> tuple[int, str, str]: ...


class Terminal(io.StringIO):
    """A terminal at which somebody has typed these lines."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def tornio(
    backend: FakeBackend, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Tornio:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    def open_client(url: str | None) -> Client:
        return Client(url or "http://tornio", ADMIN, transport=AppTransport(app_of(backend)), retry_seconds=0)

    def run(*argv: object) -> tuple[int, str, str]:
        code = main([str(word) for word in argv], open_client)
        return code, *capsys.readouterr()

    return run


def put(name: str, text: str) -> str:
    Path(name).write_text(text, "utf-8")
    return name


def drafted() -> TaskSpec:
    return read_spec(Path("task.yaml").read_text("utf-8"))


def answer(done: tuple[int, str, str]) -> Any:
    code, out, err = done
    assert code == 0, err
    return json.loads(out)


def test_it_writes_a_task_and_its_next_commands_work(tornio: Tornio, backend: FakeBackend) -> None:
    said = answer(tornio("init", put("reviews.csv", REVIEWS), "--name", "acme/reviews", "--yes", "--json"))
    assert said["labels"] == {"praise": 30, "complaint": 30}
    assert (said["text_column"], said["id_column"], said["label_column"]) == ("opinion", "review_id", "label")
    assert drafted().full_name == "acme/reviews"
    assert "teacher" not in drafted().model_fields_set  # the labels of the file train the first version
    steps = [shlex.split(line) for line in said["next"]]
    assert [step[1] for step in steps] == ["up", "apply", "labels", "open", "status", "predict"]
    for step in steps[1:3]:
        code, _, err = tornio(*step[1:])
        assert code == 0, err
    sent = [call for call in backend.calls if " labels to " in call]
    assert [call.split(" to ")[1].split()[0] for call in sent] == ["train", "holdout"]


def test_unlabelled_texts_and_labels_of_the_options(tornio: Tornio, backend: FakeBackend) -> None:
    file = put("my texts.txt", "where is my parcel\nthank you so much\n")
    code, out, err = tornio("init", file, "--yes", "-l", "good=They are happy, a lot.", "-l", "bad", "--name", "acme/b")
    assert code == 0, err
    assert [(label.name, label.description) for label in drafted().labels] == [
        ("good", "They are happy, a lot."),
        ("bad", None),
    ]
    assert "teacher" not in drafted().model_fields_set  # two texts teach nothing
    (line,) = [line for line in out.splitlines() if line.startswith("tornio pool add")]
    assert line == "tornio pool add acme/b 'my texts.txt'"
    assert tornio("apply", "task.yaml")[0] == 0
    assert tornio(*shlex.split(line)[1:])[0] == 0
    assert len(backend.held[TaskName("acme", "b")].records) == 2


@pytest.mark.parametrize(
    ("text", "rows", "labels", "taught"),
    [("message number {}", 100, 2, True), ("message number {}", 100, 30, False), ("رسالة رقم {}", 100, 2, False)],
)
def test_a_teacher_trains_the_first_version_where_it_can(
    tornio: Tornio, text: str, rows: int, labels: int, taught: bool
) -> None:
    file = put("texts.csv", "\n".join(["text", *(text.format(n) for n in range(rows))]))
    code, _, err = tornio("init", file, "--yes", "--labels", ",".join(f"label {n}" for n in range(labels)))
    assert code == 0, err
    spec = drafted()
    # Where the section is written, the server lets the teacher train a version before anybody has labelled.
    assert ("teacher" in spec.model_fields_set, spec.training.method == "distillation") == (taught, taught)


def test_ids_that_different_texts_share_are_not_used_and_no_text_is_lost(tornio: Tornio) -> None:
    rows = [(f"t-{min(n, 28)}", f"m-{n}", f"Message number {n} of a customer") for n in range(30)]

    def chosen(head: str, lines: Sequence[str]) -> tuple[object, str]:
        file = put("texts.csv", "\n".join([head, *lines]))
        code, out, err = tornio("init", file, "--yes", "-l", "a", "-l", "b", "--json", "--force")
        assert code == 0, err
        return json.loads(out)["id_column"], Path("task.yaml").read_text("utf-8")

    assert chosen("thread_id,message_id,body", [",".join(row) for row in rows])[0] == "message_id"
    alone = [f"{thread},{body}" for thread, _, body in rows]
    column, drafted_ = chosen("thread_id,body", alone)
    assert (column, "'thread_id' is not used as the id" in drafted_) == (None, True)
    column, drafted_ = chosen("thread_id,body", [*alone[:29], alone[28]])  # the same row once more
    assert (column, "1 rows repeat an id" in drafted_) == ("thread_id", True)


def test_a_person_answers_what_is_unclear(tornio: Tornio, monkeypatch: pytest.MonkeyPatch) -> None:
    file = put("qa.csv", "question,answer\nwhere is my parcel,it is on its way\ncan I pay later,yes you can do that\n")
    typed = ["nothing", "answer", "yes, no", "They agree.", "", "acme/answers"]
    monkeypatch.setattr("sys.stdin", Terminal("\n".join(typed) + "\n"))
    code, out, err = tornio("init", file)
    assert code == 0, err
    assert "'nothing' is none of them" in err
    spec = drafted()
    assert spec.full_name == "acme/answers"
    assert [(label.name, label.description) for label in spec.labels] == [("yes", "They agree."), ("no", None)]
    assert "--text-column answer" in out


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        (REVIEWS, [], "no terminal to ask at: What is the name of the task? Give --name, or --yes to take 'main/file'"),
        ("text\na b\n", ["--yes"], "Which labels are there, separated by commas? Give --labels"),
        ("text,label\na b,toxic\n", ["--yes"], "beside 'toxic'"),
        ("a,b\n1,2\n", ["--yes"], "No column holds text"),
        (REVIEWS, ["--yes", "--text-column", "body"], "has no column 'body'"),
        (REVIEWS, ["--yes", "--label-column", "label", "--labels", "praise"], "not named: 'complaint'"),
        (REVIEWS, ["--yes", "--name", "reviews"], "Write workspace/task"),
        (
            "text\na b\n",
            ["--yes", "-l", "cards=Their card."],
            "A task has 2 to 1,000 labels, and these are 1",
        ),
        ("text,label\na b,Good\nb c,good\n", ["--yes"], "look the same"),
        ("text\na b\n", ["--yes", "--labels", "a"], "labels"),
        ("", ["--yes"], "is empty"),
    ],
)
def test_what_it_cannot_do_it_says_and_writes_nothing(tornio: Tornio, text: str, options: list[str], says: str) -> None:
    code, _, err = tornio("init", put("file.csv", text), *options)
    assert code == 1
    assert says in " ".join(err.split())
    assert not Path("task.yaml").exists()


def test_a_question_that_the_user_names_as_a_column_is_no_row(tornio: Tornio) -> None:
    question = "What did you like most?"
    file = put("survey.csv", f"{question},label\nthe lid of it,praise\nthe price of it,complaint\n")
    code, out, err = tornio("init", file, "--yes", "--text-column", question)
    assert code == 0, err
    assert drafted().label_names == ("praise", "complaint")
    assert "read 2 texts" in out
    assert "--no-header" not in out


def test_it_replaces_a_file_only_when_told_to(tornio: Tornio) -> None:
    file = put("reviews.csv", REVIEWS)
    put("task.yaml", "mine")
    code, _, err = tornio("init", file, "--yes")
    assert (code, Path("task.yaml").read_text()) == (1, "mine")
    assert "--force" in err
    assert tornio("init", file, "--yes", "--force")[0] == 0
    assert drafted().label_names == ("praise", "complaint")
    assert "is the file that is read" in tornio("init", file, "--yes", "-o", file, "--force")[2]


def test_a_column_with_other_labels_is_not_used(tornio: Tornio) -> None:
    code, out, err = tornio("init", put("reviews.csv", REVIEWS), "--yes", "--labels", "lid,price")
    assert code == 0
    assert "has other labels, such as 'praise'" in err
    assert drafted().label_names == ("lid", "price")
    assert "labels import" not in out


@pytest.mark.parametrize(
    ("name", "text", "labels", "flags"),
    [
        ("bom.csv", "\ufefftext,label\na b,x\nb c,y\n", ("x", "y"), "--text-column text --label-column label"),
        ("numbers.csv", "text,label\na b,0\nb c,1\n", ("0", "1"), "--text-column text"),
        ("head.csv", "my parcel came late,bad\nthank you very much,good\n", None, "--no-header --text-column 1"),
        (
            "head.jsonl",
            '{"text": "a b", "label": [0, 1]}\n{"text": "b c", "label": [1]}\n',
            ("0", "1"),
            "--text-column",
        ),
        ("semi.csv", "text;label\na b;x\nb c;y\n", ("x", "y"), "--text-column text"),
        ("rows.tsv", "text\tlabel\na b\tx\nb c\ty\n", ("x", "y"), "--text-column text"),
        ("markup.csv", "text,label\na b,[/bad]\nb c,a|b\n", ("[/bad]", "a|b"), "--text-column text"),
    ],
)
def test_files_as_they_come(tornio: Tornio, name: str, text: str, labels: tuple[str, ...] | None, flags: str) -> None:
    options = () if labels else ("--labels", "x,y")
    code, out, err = tornio("init", put(name, text), "--yes", "--name", "acme/b", *options)
    assert code == 0, err
    assert drafted().label_names == (labels or ("x", "y"))
    assert flags in out
    assert tornio("apply", "task.yaml")[0] == 0
    for line in out.splitlines():
        if line.startswith(("tornio labels import", "tornio pool add")):
            code, _, err = tornio(*shlex.split(line)[1:])
            assert code == 0, err


def test_many_labels_and_a_parquet_file(tornio: Tornio) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    texts = [f"text number {n}" for n in range(450)]
    pq.write_table(pa.table({"text": texts, "label": [f"intent-{n % 150}" for n in range(450)]}), "many.parquet")
    code, out, err = tornio("init", "many.parquet", "--yes")
    assert code == 0, err
    assert len(drafted().labels) == 150
    assert "and 138 more" in out
    assert "--holdout-share 0.2" in out


def test_what_is_odd_is_said(tornio: Tornio) -> None:
    body = "id,text,label\n1,где моя посылка,1\n1,спасибо вам,2\n2,,1\n"
    code, _, err = tornio("init", put("odd.csv", body), "--yes")
    assert code == 0
    assert "1 rows have no text" in err
    assert "repeat an id of column 'id'" in err
    assert "The labels are numbers" in err
    assert "Cyrillic" in err


def test_a_share_of_imported_labels_evaluates(tornio: Tornio, backend: FakeBackend) -> None:
    put("task.yaml", "workspace: acme\nname: b\nlabels: [praise, complaint]\n")
    assert tornio("apply", "task.yaml")[0] == 0
    options = ("--text-column", "opinion", "--holdout-share", "0.25", "--json")
    said = answer(tornio("labels", "import", "acme/b", put("reviews.csv", REVIEWS), *options))
    parts = {purpose: one["imported"] for purpose, one in said["by_purpose"].items()}
    assert sum(parts.values()) == said["imported"] == 60
    assert 5 <= parts["holdout"] <= 25
    code, _, err = tornio(
        "labels", "import", "acme/b", "reviews.csv", "--auto", "--source", "m", "--holdout-share", "0.5"
    )
    assert code == 1
    assert "do not evaluate models" in err
