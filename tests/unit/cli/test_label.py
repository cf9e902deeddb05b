"""``tornio label``: what it writes and says, and what it refuses before anything is computed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.test_commands import Tornio, answer, backend, put, tornio
from tests.unit.jobs.test_distillation import LABELS
from tests.unit.jobs.test_label_file import Shelf
from tornio import files
from tornio.files import Columns

pytestmark = pytest.mark.unit
__all__ = ["backend", "tornio"]  # fixtures

NAMES = [word for name in LABELS for word in ("-l", name)]


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tornio: Tornio) -> Shelf:
    """A teacher that knows the texts of ``data.csv``, which also has a repeated text and a row without one."""
    shelf = Shelf(tmp_path)
    monkeypatch.setattr("tornio.cli.label._context", lambda: shelf.job)
    rows = [f"r{number},{text}" for number, text in enumerate(shelf.texts)]
    put("data.csv", "\n".join(["id,text", *rows, f"again,{shelf.texts[0]}", "empty,"]) + "\n")
    return shelf


def test_each_row_of_the_file_is_written_and_the_summary_hides_nothing(tornio: Tornio, shelf: Shelf) -> None:
    code, out, err = tornio("label", "data.csv", *NAMES, "-o", "out.csv")
    assert code == 0, err
    assert "read 122 rows (CSV separated by commas), of which 121 have a text" in out
    assert "labelled by a student of teacher:test: 120 different texts" in out
    assert "teacher and student give" in out
    assert "cannot be known without labels of people" in out
    assert "not labelled: 1 (line 123): no text" in err
    read = files.read_labels(files.open_data("out.csv"), Columns(), "out.csv", multi_label=False)
    labels = {item.record_id: item.labels for item in read.items}
    assert len(Path("out.csv").read_text().splitlines()) == 123
    assert labels["r0"][0] in LABELS
    assert "again" in Path("out.csv").read_text()


def test_json_lines_are_printed_and_the_summary_goes_to_stderr(tornio: Tornio, shelf: Shelf) -> None:
    code, out, err = tornio("label", "data.csv", *NAMES, "--teacher-only")
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert len(lines) == 122
    assert (lines[0]["source"], lines[0]["taught_by"]) == ("teacher:test", None)
    assert "labelled by teacher:test alone" in err


def test_the_summary_for_programs(tornio: Tornio, shelf: Shelf) -> None:
    said = answer(tornio("label", "data.csv", *NAMES, "-o", "out.parquet", "--json"))
    assert (said["rows"], said["texts"], said["taught_by"]) == (122, 120, "teacher:test")
    assert said["skipped"] == [{"line": 123, "reason": "no text"}]
    assert sum(said["counts"].values()) == 120
    assert 0 < said["agreement"] <= 1


def test_a_task_yaml_names_the_labels(tornio: Tornio, shelf: Shelf) -> None:
    put("task.yaml", f"workspace: w\nname: t\nlabels: [{', '.join(LABELS)}]\n")
    code, out, _ = tornio("label", "data.csv", "--spec", "task.yaml", "-o", "out.tsv")
    assert (code, "wrote out.tsv" in out) == (0, True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "name the labels"),
        (["-l", "a"], "Give at least two"),
        (["-l", "a", "-l", "a"], "names 'a' twice"),
        (["-l", "a", "-l", ""], "the labels cannot be used"),
        (["-l", "a", "-l", "b", "--spec", "task.yaml"], "not both"),
        (["--spec", "task.yaml", "--encoder", "x"], "Change it there"),
        (["--spec", "none.yaml"], "Cannot read none.yaml"),
        ([*NAMES, "--multi-label"], "--teacher-only"),
        ([*NAMES, "-o", "data.csv"], "is the file that is read"),
        ([*NAMES, "-o", "other.csv"], "--overwrite"),
        ([*NAMES, "-o", "out.doc"], "says no format"),
        ([*NAMES, "--json"], "give --output"),
        ([*NAMES, "--text-column", "body"], "no column 'body'"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line_and_nothing_is_asked(
    tornio: Tornio, shelf: Shelf, options: list[str], says: str
) -> None:
    put("task.yaml", "workspace: w\nname: t\nlabels: [a, b]\n")
    put("other.csv", "mine")
    code, out, err = tornio("label", "data.csv", *options)
    assert (code, out) == (1, "")
    assert says in err
    assert err.count("\n") == 1
    assert shelf.teacher.asked == []
    assert Path("other.csv").read_text() == "mine"


def test_a_file_may_be_replaced_on_request(tornio: Tornio, shelf: Shelf) -> None:
    put("out.csv", "my own file")
    assert tornio("label", "data.csv", *NAMES, "-o", "out.csv", "--overwrite", "--teacher-only")[0] == 0
    assert "my own file" not in Path("out.csv").read_text()


def test_texts_without_an_answer_of_the_teacher_are_kept_without_a_label(tornio: Tornio, shelf: Shelf) -> None:
    shelf.teacher.silent = set(shelf.texts[:2])
    code, out, err = tornio("label", "data.csv", *NAMES, "--teacher-only")
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["record_id"] for line in lines if line["labels"] is None] == ["r0", "r1", "again", "empty"]
    assert lines[0]["skipped"] == "the teacher gave no usable answer"
    assert "no usable answer for 2 texts" in err
    assert "118 different texts" in err
    assert answer(tornio("label", "data.csv", *NAMES, "-o", "out.csv", "--json"))["texts"] == 120  # a student reads all
    shelf.teacher.silent = set(shelf.texts[:25])
    put("part.csv", "text\n" + "\n".join(shelf.texts[:25]) + "\n")
    code, _, err = tornio("label", "part.csv", *NAMES, "--teacher-only")
    assert (code, "no usable answer for any text" in err) == (1, True)


def test_what_a_chat_model_will_be_asked_is_printed_when_the_command_continues(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from tornio.cli.label import _announcing
    from tornio.schemas.runs import RunPlan, RunProgress

    watched = _announcing(lambda _plan, _progress: None)
    plan = RunPlan(run="label-1", job="label", workspace="w", task="t", args={})
    for stage, done in (("soft labels", 10_000), ("asks m about 5 texts", 10_000), ("asks m about 5 texts", 10_003)):
        watched(plan, RunProgress(run="label-1", attempt=1, stage=stage, done=done, total=10_005, unit="records"))
    assert capsys.readouterr().err == "asks m about 5 texts\n"
