"""The command line end to end: commands, the client, the app, and a backend in memory. No sockets."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.unit.gateway.fake import ADMIN, NOW, AppTransport, FakeBackend, app_of, audited
from tornio import errors
from tornio.api import (
    AgreementStatus,
    AnnotatorOut,
    Annotators,
    ChangedAnswer,
    ConsensusOut,
    LabelAgreementOut,
    LabelsImported,
    PairOut,
    TaskName,
    VersionOut,
)
from tornio.cli import main
from tornio.client import Client

pytestmark = pytest.mark.unit

TASK = "acme/support"
SPEC = "workspace: acme\nname: support\nlabels: [billing, bug]\n"


class Tornio(Protocol):
    """Runs a command and returns its exit code, standard output and standard error."""

    def __call__(self, *argv: object) -> tuple[int, str, str]: ...


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def tornio(
    backend: FakeBackend, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Tornio:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def open_client(url: str | None) -> Client:
        transport = AppTransport(app_of(backend))
        return Client(url or "http://tornio", ADMIN, transport=transport, retry_seconds=0)

    def run(*argv: object) -> tuple[int, str, str]:
        code = main([str(word) for word in argv], open_client)
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def task(tornio: Tornio, tmp_path: Path) -> Tornio:
    """The same, with a task made by `apply`."""
    (tmp_path / "task.yaml").write_text(SPEC)
    code, out, _ = tornio("apply", "task.yaml")
    assert code == 0
    assert "created acme/support with 2 labels; next: tornio pool add" in out
    return tornio


def put(name: str, text: str) -> str:
    Path(name).write_text(text)
    return name


def answer(done: tuple[int, str, str]) -> Any:
    """The JSON document that is the whole of standard output."""
    code, out, err = done
    assert code == 0, err
    return json.loads(out)


def test_applying_again_says_what_changed(task: Tornio) -> None:
    assert "already matches this file (spec 1)" in task("apply", "task.yaml")[1]
    put("task.yaml", SPEC + "guidelines: be kind\n")
    _, out, _ = task("apply", "task.yaml")
    assert "now at spec 2" in out
    assert "(live)" in out


def test_pool_add_says_what_it_read_and_skipped_and_why(task: Tornio, backend: FakeBackend) -> None:
    file = put("pool.csv", "id,text\n1,my bill\n2,\n3,it crashes\n1,again\n4,\n5,a,b\n")
    code, out, err = task("pool", "add", TASK, file)
    assert code == 0
    assert "read 2 texts (CSV separated by commas, text from 'text', id from 'id')" in out
    assert "added 2 records to the pool of acme/support; 0 existed already" in out
    assert "skipped 2 (line 3, 6): such as: no text" in err
    assert "skipped 1 (line 5): the id '1' again, with another text than in line 2" in err
    assert "skipped 1 (line 7): 3 fields where the first line has 2" in err
    assert set(backend.held[TaskName("acme", "support")].records) == {"1", "3"}
    assert "2 existed already" in task("pool", "add", TASK, file)[1]


def test_pool_add_for_programs(task: Tornio) -> None:
    file = put("pool.csv", "text,lang\na,en\nb,de\n,de\n")
    said = answer(task("pool", "add", TASK, file, "--metadata-columns", "lang", "--json"))
    assert (said["added"], said["known"], said["read"]) == (2, 0, 2)
    assert said["skipped"] == [{"line": 4, "reason": "no text"}]


def test_pool_delete_says_what_it_does_and_asks_first(
    task: Tornio, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    task("pool", "add", TASK, put("pool.csv", "id,text\n1,my bill\n2,it crashes\n3,c\n"))
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    code, out, err = task("pool", "delete", TASK, "--id", "1", "--id", "2")
    assert code == 1
    assert "2 records of acme/support would be deleted: 1 labelled, 0 of the hold-out, 0 in open batches" in out
    assert "version v1 learned from 1 of them and may have read 2 others without a label" in err
    assert "Delete them for ever?" in err
    held = backend.held[TaskName("acme", "support")]
    assert not held.deleted
    code, out, _ = task("pool", "delete", TASK, "--ids", put("ids.txt", "1\n\n2\n"), "--yes")
    assert (code, held.deleted) == (0, {"1", "2"})
    assert "2 records of acme/support were deleted" in out
    assert answer(task("pool", "delete", TASK, "--id", "2", "--yes", "--json"))["already"] == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "name the records to delete"),
        (["--ids", "-"], "add --yes"),
        (["--ids", "none.txt", "--yes"], "cannot be read"),
        (["--id", "x", "--yes"], "no record 'x'"),
    ],
)
def test_pool_delete_refuses(task: Tornio, options: list[str], says: str) -> None:
    code, _, err = task("pool", "delete", TASK, *options)
    assert code == 1
    assert says in err


@pytest.mark.parametrize(
    ("name", "text", "options", "says"),
    [
        ("a.csv", "just a line\nand another\n", [], "--no-header"),
        ("a.csv", "", [], "is empty"),
        ("a.csv", "a,b\n1,2\n", ["--text-column", "c"], "no column 'c'"),
        ("none.csv", None, [], "No such file"),
    ],
)
def test_files_that_cannot_be_read_are_one_red_line(
    task: Tornio, name: str, text: str | None, options: list[str], says: str
) -> None:
    if text is not None:
        put(name, text)
    code, out, err = task("pool", "add", TASK, name, *options)
    assert (code, out) == (1, "")
    assert says in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_a_file_that_is_not_utf8(task: Tornio) -> None:
    Path("a.csv").write_bytes("text\nKöln\n".encode("latin-1"))
    code, _, err = task("pool", "add", TASK, "a.csv")
    assert code == 1
    assert "byte 0xf6 at offset 6" in err
    assert "--encoding" in err
    assert task("pool", "add", TASK, "a.csv", "--encoding", "latin-1")[0] == 0


def test_standard_input(task: Tornio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put("in", '{"text": "from a pipe"}\n')
    with (tmp_path / "in").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert answer(task("pool", "add", TASK, "-", "--json"))["added"] == 1


def test_labels_import(task: Tornio, backend: FakeBackend) -> None:
    file = put("seed.csv", "text,label\nmy bill,billing\nit crashes,bug\nwhat,\n")
    code, out, err = task("labels", "import", TASK, file)
    assert code == 0
    assert "imported the labels of 2 texts for training into acme/support" in out
    assert "skipped 1 (line 4): no label" in err
    assert task("labels", "import", TASK, file, "--holdout")[0] == 0
    assert backend.calls[-2:] == [
        "2 labels to train from seed.csv by admin",
        "2 labels to holdout from seed.csv by admin",
    ]


def test_labels_of_a_model_have_its_name(task: Tornio, backend: FakeBackend) -> None:
    file = put("seed.csv", "text,label\nmy bill,billing\nMy bill,bug\n")
    for words in (["--auto"], ["--auto", "--source", "gpt", "--holdout"]):
        code, out, err = task("labels", "import", TASK, file, *words)
        assert (code, out) == (1, "")
        assert "--auto" in err
    code, _, err = task("labels", "import", TASK, file, "--auto", "--source", "gpt")
    assert (code, backend.calls[-1]) == (0, "2 labels to train from gpt by admin")
    assert "seed.csv: 1 rows contradict an earlier one; line 3: the text 'My bill' is labelled 'bug'" in err


def test_predict_answers_every_row_of_a_file(task: Tornio, backend: FakeBackend) -> None:
    backend.serve(TASK, "v4", 9)
    code, out, err = task("predict", TASK, "-f", put("a.csv", "id,text\n1,same\n1,same\n2,\n"), "--json")
    assert (code, len(json.loads(out))) == (0, 2)
    assert "a.csv: skipped 1 (line 4): no text" in err


def test_hold_out_labels_that_cannot_judge_are_reported(
    task: Tornio, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def import_labels(*_: object) -> LabelsImported:
        return LabelsImported(imported=1, trains=2, seen=1)

    monkeypatch.setattr(backend, "import_labels", import_labels)
    file = put("seed.csv", "text,label\na,bug\nb,bug\nc,bug\n")
    code, out, err = task("labels", "import", TASK, file, "--holdout")
    assert (code, "imported the labels of 1 texts for evaluation" in out) == (0, True)
    assert "2 texts were left out: they train already" in err
    assert "1 of the texts had automatic labels" in err


def test_unknown_labels_are_found_before_anything_is_sent(task: Tornio, backend: FakeBackend) -> None:
    code, out, err = task("labels", "import", TASK, put("a.csv", "text,label\na,bug\nb,bgu\nc,bgu\n"))
    assert (code, out) == (1, "")
    assert "'bgu' (2 x). The task has 'billing', 'bug'. Nothing was imported" in err
    assert not any("labels" in call for call in backend.calls)


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet"])
def test_export_and_import_again(task: Tornio, name: str) -> None:
    task("labels", "import", TASK, put("seed.csv", "id,text,label\n1,my bill,billing\n2,it crashes,bug\n"))
    assert "wrote 2 labels to" in task("export", "labels", TASK, "-o", name)[1]
    assert answer(task("labels", "import", TASK, name, "--json"))["imported"] == 2


def test_export_to_standard_output_is_json_lines(task: Tornio) -> None:
    task("labels", "import", TASK, put("seed.csv", "id,text,label\n1,my bill,billing\n"))
    code, out, _ = task("export", "labels", TASK)
    assert code == 0
    assert json.loads(out)["labels"] == ["billing"]


def test_a_text_that_is_the_name_of_a_file_is_pointed_out(task: Tornio, backend: FakeBackend) -> None:
    backend.serve(TASK, "v4", 9)
    code, out, err = task("predict", TASK, put("more.csv", "text\na\n"), "no file", "x" * 5000)
    assert (code, out.count("more.csv")) == (0, 1)
    assert "more.csv is classified as a text. With --output, the file of that name is." in " ".join(err.split())


def test_predict(task: Tornio, backend: FakeBackend) -> None:
    code, _, err = task("predict", TASK, "my bill is wrong")
    assert code == 1
    assert "has no version yet" in err
    backend.serve(TASK, "v4", 9)
    code, out, err = task("predict", TASK, "my bill is wrong", "x" * 2000)
    assert code == 0
    assert out.startswith("billing 0.75  my bill is wrong\n")
    assert "only the beginning of the text was read" in out
    assert "v4 (revision 9)" in err
    said = answer(task("predict", TASK, "--file", put("a.txt", "one\ntwo\n"), "--json"))
    assert [(one["labels"], one["version"]) for one in said] == [(["billing"], "v4")] * 2


@pytest.mark.parametrize("argv", [["predict", TASK], ["predict", TASK, "text", "--file", "a.txt"]])
def test_predict_wants_texts_or_a_file(task: Tornio, argv: list[str]) -> None:
    code, _, err = task(*argv)
    assert code == 1
    assert "Give either texts, or --file" in err


def test_what_was_predicted_is_kept_when_a_later_request_fails(
    task: Tornio, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.serve(TASK, "v4", 9)
    file = put("a.txt", "".join(f"text {n}\n" for n in range(1000)))
    predict = backend.predict

    async def at_most_500(name: TaskName, texts: list[str], version: str | None = None) -> Any:
        if "text 500" in texts:
            raise errors.Unavailable("This replica is overloaded")
        return await predict(name, texts, version)

    monkeypatch.setattr(backend, "predict", at_most_500)
    code, out, err = task("predict", TASK, "-f", file)
    assert (code, out.count("\n")) == (1, 500)
    assert "500 of 1,000 texts were classified, 500 were not. Go on with the same command and --skip 500\n" in err
    assert "overloaded" in err
    code, out, err = task("predict", TASK, "-f", file, "--json")
    assert (code, len(json.loads(out))) == (1, 500)
    monkeypatch.setattr(backend, "predict", predict)
    assert len(answer(task("predict", TASK, "-f", file, "--skip", "500", "--json"))) == 500


@pytest.mark.parametrize("words", [("predict", TASK), ("zero-shot", "-l", "praise", "-l", "anger")])
def test_an_empty_text_is_refused(task: Tornio, backend: FakeBackend, words: tuple[str, ...]) -> None:
    backend.serve(TASK)
    for texts in ([""], ["fine", " \n"]):
        code, out, err = task(*words, *texts)
        assert (code, out) == (1, "")
        assert f"Text {len(texts)} is empty or has no visible character" in err
    assert "There is nothing to classify: found 1 texts" in task(*words, "one", "--skip", "1")[2]


def test_zero_shot(task: Tornio) -> None:
    assert "at least two" in task("zero-shot", "great!", "--label", "praise")[2]
    assert "praise 1.00  great!" in task("zero-shot", "great!", "-l", "praise", "-l", "anger=Somebody is angry.")[1]
    assert answer(task("zero-shot", "great!", "-l", "a", "-l", "b", "--json"))[0]["labels"] == ["a"]


def test_status(task: Tornio, backend: FakeBackend) -> None:
    assert "nothing yet" in task("status", TASK)[1]
    backend.serve(TASK, "v4", 9, "v3")
    out = task("status", TASK)[1]
    assert "batch g1-b0001: 3 of 20 answered" in out
    assert "v4 (revision 9, before: v3)" in out
    assert answer(task("status", TASK, "--json"))["serving"]["version"] == "v4"


def test_watching_looks_again_until_it_is_interrupted(
    task: Tornio, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("tornio.cli.screen.time.sleep", pause)
    code, out, _ = task("status", TASK, "--watch")
    assert code == 130
    assert "labelling" in out
    pauses.clear()
    code, out, _ = task("status", TASK, "--watch", "--json")
    assert code == 130
    assert [json.loads(line)["phase"] for line in out.splitlines()] == ["labelling"] * 3


def test_watching_without_a_terminal_prints_what_is_new(
    task: Tornio, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter(range(4))

    def pause(_: float) -> None:
        match next(looks):
            case 1:
                backend.serve(TASK, "v4", 9)
            case 3:
                raise KeyboardInterrupt

    monkeypatch.setattr("tornio.cli.screen.time.sleep", pause)
    code, out, _ = task("status", TASK, "--watch")
    assert code == 130
    assert (out.count("acme/support"), out.count("nothing yet"), out.count("v4")) == (2, 1, 1)


def test_versions_say_why_and_what_changed(task: Tornio, backend: FakeBackend) -> None:
    assert "has no version yet" in task("versions", TASK)[1]
    changed = ChangedAnswer(record_id="1", text="my bill", label=["billing"], before=["bug"], after=["billing"])
    backend.held[TaskName("acme", "support")].versions = [
        VersionOut(
            version="v2",
            iteration=2,
            state="refused",
            reasons=["3.1 points below v1"],
            warnings=["only 30 hold-out labels"],
            training_labels=40,
            holdout=30,
            accuracy=0.8,
            interval=(0.6, 0.9),
            labels_to_halve=91,
            changed=[changed],
            created_at=NOW,
        )
    ]
    out = task("versions", TASK)[1]
    for words in (
        "v2  refused",
        "3.1 points below v1",
        "only 30 hold-out labels",
        "80.0 %",
        "91 more would halve the interval",
        "1 hold-out answers changed",
    ):
        assert words in out
    assert "+" in out
    assert answer(task("versions", TASK, "--json"))[0]["changed"][0]["after"] == ["billing"]


def test_annotators_shows_who_agrees_with_whom(task: Tornio, backend: FakeBackend) -> None:
    assert "Nobody has annotated" in task("annotators", TASK)[1]
    held = backend.held[TaskName("acme", "support")]
    one = AnnotatorOut(annotator="u1", name="ada", answers=20, discards=1, compared=10, agrees=9)
    held.annotators = Annotators(annotators=[one])
    out = task("annotators", TASK)[1]
    for words in ("ada", "9 of 10 (90.0 %)", "annotation.min_submitted"):
        assert words in out
    held.annotators = Annotators(
        annotators=[one],
        pairs=[PairOut(first="ada", second="ben", records=10, agrees=9, kappa=0.81)],
        labels=[LabelAgreementOut(label="bug", alpha=0.7, records=4)],
        agreement=AgreementStatus(alpha=0.8, records=10),
        controller_away="it restarts",
    )
    out = task("annotators", TASK)[1]
    for words in ("ben", "0.81", "bug", "0.70", "alpha 0.80", "it restarts"):
        assert words in out
    assert answer(task("annotators", TASK, "--json"))["pairs"][0]["kappa"] == 0.81


@pytest.mark.parametrize(
    ("used", "several", "said"),
    [
        (
            "majority",
            30,
            "training labels: by majority; by crowdlab once 70 more texts have several answers (100 in all)",
        ),
        ("crowdlab", 120, "training labels: by crowdlab; 120 texts for training have several answers"),
    ],
)
def test_annotators_says_what_decides_and_how_many_texts_are_lacking(
    task: Tornio, backend: FakeBackend, used: str, several: int, said: str
) -> None:
    one = AnnotatorOut(annotator="u1", name="ada", answers=20, discards=1, compared=10, agrees=9)
    consensus = ConsensusOut(wanted="crowdlab", used=used, several=several, needed=100)
    backend.held[TaskName("acme", "support")].annotators = Annotators(annotators=[one], consensus=consensus)
    assert said in " ".join(task("annotators", TASK)[1].split())


@pytest.mark.parametrize("command", ["pause", "resume", "train-now"])
def test_asking_of_the_loop(task: Tornio, command: str) -> None:
    assert command in task(command, TASK)[1]
    assert command in answer(task(command, TASK, "--json"))["said"]


def test_train_now_may_be_forced(task: Tornio) -> None:
    assert task("train-now", TASK, "--force")[1].rstrip().endswith("by force")


def test_rollback(task: Tornio, backend: FakeBackend) -> None:
    assert "none came before" in task("rollback", TASK)[2]
    backend.serve(TASK, "v2", 2, "v1")
    out = task("rollback", TASK, "--why", "odd answers")[1]
    assert "serves v1 again (revision 3, before: v2)" in out
    assert "tornio resume" in out


def test_promote(task: Tornio, backend: FakeBackend) -> None:
    assert "no version v1 that was judged" in task("promote", TASK, "v1")[2]
    backend.held[TaskName.parse(TASK)].versions = [
        VersionOut(version="v1", iteration=1, state="refused", training_labels=9, created_at=NOW)
    ]
    assert "v1 serves soon" in task("promote", TASK, "v1", "--why", "it knows bills", "--force")[1]
    assert backend.calls[-1] == "promote v1 by force by admin: it knows bills"
    assert answer(task("promote", TASK, "v1", "--json"))["asks"]["hold"] == "admin promoted v1"


def test_labels_change_only_after_it_was_said_what_becomes_of_them(task: Tornio, backend: FakeBackend) -> None:
    code, out, err = task("labels", "migrate", TASK, "--rename", "bug=fault")
    assert code == 1
    assert "'bug' is renamed to 'fault'" in out
    assert "Give --yes" in err
    assert backend.calls[-1] == "preview of labels"
    assert "changed the labels" in task("labels", "migrate", TASK, "--rename", "bug=fault", "--yes")[1]
    assert backend.calls[-2:] == ["preview of labels", "migrate labels by admin"]
    assert "Nothing would change" in task("labels", "migrate", TASK, "--yes")[2]
    assert "old and the new name" in task("labels", "migrate", TASK, "--rename", "bug", "--yes")[2]
    assert (
        "--add '=Anything else.' is no label" in task("labels", "migrate", TASK, "--add", "=Anything else.", "--yes")[2]
    )


def test_tasks(tornio: Tornio) -> None:
    assert "no tasks yet" in tornio("tasks")[1]
    tornio("apply", put("task.yaml", SPEC))
    assert TASK in tornio("tasks")[1]
    assert answer(tornio("tasks", "--json"))[0]["task"] == "support"


def test_a_spec_with_faults_names_their_lines(tornio: Tornio) -> None:
    code, _, err = tornio("apply", put("task.yaml", "workspace: acme\nname: Support\nlabels: [a]\n"))
    assert code == 1
    assert "task.yaml, line 2" in err
    assert "task.yaml, line 3" in err
    assert "No such file" in tornio("apply", "none.yaml")[2]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["status", "acme/missing"], "there is no task acme/missing"),
        (["status", "other/secret"], "ask the operator of this server"),
        (["status", "missing"], "Write workspace/task"),
    ],
)
def test_what_the_server_refuses_is_one_line(task: Tornio, argv: list[str], says: str) -> None:
    code, out, err = task(*argv)
    assert (code, out) == (1, "")
    assert says in err
    assert err.count("\n") == 1


def test_a_server_that_is_busy_or_broken(task: Tornio, backend: FakeBackend) -> None:
    for error, says in ((errors.Unavailable("S3 is away"), "S3 is away"), (RuntimeError("oh"), "server's log")):
        backend.fails = error
        code, _, err = task("status", TASK)
        assert code == 1
        assert says in err
        assert "Traceback" not in err


def test_a_server_that_is_not_there(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORNIO_URL", "http://127.0.0.1:9")
    opened: Callable[[str | None], Client] = lambda url: Client(url, retry_seconds=0)  # noqa: E731
    assert main(["tasks"], opened) == 1
    assert "http://127.0.0.1:9 does not respond" in capsys.readouterr().err


@pytest.mark.parametrize(("argv", "code"), [(["--help"], 0), (["--version"], 0), (["nonsense"], 2), (["status"], 2)])
def test_usage(tornio: Tornio, argv: list[str], code: int) -> None:
    assert tornio(*argv)[0] == code


def test_audit_shows_who_did_what(tornio: Tornio, backend: FakeBackend) -> None:
    assert tornio("audit", "acme") == (0, "Nobody has done anything in acme since the audit log exists.\n", "")
    backend.audit.held = [audited(number) for number in range(3)]
    code, out, _ = tornio("audit", TASK)
    assert code == 0
    header, *rows = out.splitlines()
    assert header.split() == ["time", "(UTC)", "key", "act", "task", "outcome", "detail"]
    assert " ".join(rows[0].split()) == "2025-06-01 12:00:00 data-team rollback support refused: Conflict revision 0"
    assert len(rows) == 3
    code, out, _ = tornio("audit", "acme", "--most", 2, "--json")
    assert [event["detail"]["revision"] for event in json.loads(out)] == [0, 1]


def test_an_exported_version_is_sent_and_asked_for(task: Tornio, backend: FakeBackend, tmp_path: Path) -> None:
    about = {
        "task": "acme/staging", "version": "v0001-a", "form": "transformers", "labels": ["billing", "bug"],
        "multi_label": False, "max_length": 64, "pooling": "mean", "normalise": False, "layers": [-1],
    }  # fmt: skip
    config = {
        "model_type": "bert",
        "id2label": {"0": "billing", "1": "bug"},
        "problem_type": "single_label_classification",
    }
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "tornio.json").write_text(json.dumps(about))
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    code, out, _ = task("versions", "import", TASK, str(tmp_path / "model"), "--why", "from staging")
    assert (code, "import from staging" in out) == (0, True)
    assert any(call.startswith("take ") for call in backend.calls)
