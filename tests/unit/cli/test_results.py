"""``tornio run show``, ``wait`` and ``fetch``: the result of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.test_commands import TASK, Tornio, answer, backend, task, tornio
from tests.unit.cli.test_runs import hold
from tests.unit.gateway.fake import KEYS, PREDICTOR, AppTransport, FakeBackend, app_of
from tornio.api import RunFileOut, RunProgressOut
from tornio.cli import main
from tornio.client import Client
from tornio.errors import Conflict

pytestmark = pytest.mark.unit
__all__ = ["backend", "task", "tornio"]  # fixtures

FILES = {"comparison.html": b"<html>", "results.parquet": b"PAR1", "rejected-000000.parquet": b"PAR1PAR1"}


@pytest.fixture
def held(task: Tornio, backend: FakeBackend) -> FakeBackend:
    hold(backend, run="compare-1", job="compare", state="done", output={"rows": 9})
    backend.runs.files_of["compare-1"] = FILES
    backend.runs.rows_of["compare-1"] = [["2.500", "where is \x1b[31mit?"], ["0.100", "thanks"]]
    return backend


def test_a_run_that_is_done_shows_its_first_rows(task: Tornio, held: FakeBackend) -> None:
    code, out, err = task("run", "show", TASK, "compare-1")
    assert (code, "thanks" in out, "\x1b" in out) == (0, True, False)
    assert "tornio run fetch acme/support compare-1 -o FILE.csv" in err
    assert "thanks" not in task("run", "show", TASK, "compare-1", "--top", "1")[1]
    assert task("run", "show", TASK, "compare-1", "--top", "0")[2] == ""
    hold(held, run="score-9", state="running")
    assert "thanks" not in task("run", "show", TASK, "score-9")[1]


def test_who_may_only_predict_is_shown_no_rows(held: FakeBackend, capsys: pytest.CaptureFixture[str]) -> None:
    def of_predictor(_: str | None) -> Client:
        return Client("http://tornio", PREDICTOR, transport=AppTransport(app_of(held, KEYS)))

    assert main(["run", "show", TASK, "compare-1"], of_predictor) == 0
    said = capsys.readouterr()
    assert ("thanks" in said.out, "role 'operate'" in said.err) == (False, True)
    assert main(["run", "fetch", TASK, "compare-1", "-o", "there"], of_predictor) == 1


def test_a_run_is_waited_for(task: Tornio, held: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    states = [("done", None), ("failed", "out of memory"), ("cancelled", None)]
    for number, (state, error) in enumerate(states):
        name = f"score-{number}"
        run = hold(held, run=name, progress=RunProgressOut(stage="score rows", done=1, total=2, unit="rows"))
        held.runs.rows_of[name] = [["1.0", "late"]]

        def later(_: float, name: str = name, state: str = state, error: str | None = error) -> None:
            runs = held.runs.held[TASK]
            at = next(index for index, one in enumerate(runs) if one.run == name)
            runs[at] = runs[at].model_copy(update={"state": state, "error": error})

        monkeypatch.setattr("tornio.cli.results.time.sleep", later)
        code, out, err = task("run", "wait", TASK, run.run)
        if state == "done":
            assert (code, "late" in out) == (0, True)
        else:
            assert (code, f"is {state}: {error or 'no reason is given'}" in err) == (1, True)
    assert answer(task("run", "wait", TASK, "compare-1", "--json"))["output"] == {"rows": 9}


def test_a_folder_gets_all_files_as_they_are_stored(
    task: Tornio, held: FakeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "result"
    code, out, _ = task("run", "fetch", TASK, "compare-1", "-o", str(folder))
    assert (code, out) == (0, f"wrote {folder}: 3 files\n")
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == {name.replace("-", "/"): body for name, body in FILES.items()}
    held.runs.fetched.clear()
    (folder / "results.parquet").unlink()
    assert task("run", "fetch", TASK, "compare-1", "-o", str(folder))[0] == 0
    assert held.runs.fetched == ["results.parquet"]


def test_the_one_file_of_an_ending_is_fetched_alone(task: Tornio, held: FakeBackend, tmp_path: Path) -> None:
    report = tmp_path / "mine.html"
    assert answer(task("run", "fetch", TASK, "compare-1", "-o", str(report), "--json"))["files"] == ["comparison.html"]
    assert (report.read_bytes(), held.runs.fetched) == (b"<html>", ["comparison.html"])
    code, _, err = task("run", "fetch", TASK, "compare-1", "-o", str(tmp_path / "x.csv"))
    assert (code, "has 0 files that end in .csv, and its files end in .html, .parquet. Give a name" in err) == (1, True)
    assert {path.name for path in tmp_path.iterdir()} == {"mine.html", "task.yaml"}


def test_what_cannot_be_fetched_is_told(task: Tornio, held: FakeBackend, tmp_path: Path) -> None:
    hold(held, run="score-9", state="running")
    hold(held, run="label-9", job="label", state="done")
    assert "no result before it is done" in task("run", "fetch", TASK, "score-9", "-o", str(tmp_path / "x"))[2]
    assert "has no files" in task("run", "fetch", TASK, "label-9", "-o", str(tmp_path / "x"))[2]
    assert "Create it first" in task("run", "fetch", TASK, "compare-1", "-o", str(tmp_path / "none" / "x"))[2]
    (tmp_path / "taken").touch()
    assert "is a file" in task("run", "fetch", TASK, "compare-1", "-o", str(tmp_path / "taken"))[2]
    client = Client("http://tornio", "operator-key-of-tests", transport=AppTransport(app_of(held, KEYS)))
    with pytest.raises(Conflict, match="not the file that was listed"):
        list(client.run_file(TASK, "compare-1", RunFileOut(name="results.parquet", size=4, etag="another")))


def test_a_large_file_comes_in_pieces_and_goes_on_where_it_was(task: Tornio, held: FakeBackend, tmp_path: Path) -> None:
    body, wanted = bytes(range(256)) * 3, tmp_path / "predicted.csv"
    files = {"predicted-000000-data.csv": body, "rejected-000000.parquet": b"", "rejected-000001.csv": b""}
    hold(held, run="predict-1", job="predict", state="done")
    held.runs.files_of["predict-1"], held.runs.piece = files, 300
    words = ("run", "fetch", TASK, "predict-1", "-o", str(wanted))
    cut = held.runs.files_of["predict-1"] | {"predicted-000000-data.csv": body[:300]}

    class Cut(dict[str, bytes]):
        """The list says how long the file is, and then the connection ends early."""

        def __getitem__(self, name: str) -> bytes:
            return cut[name] if held.runs.fetched else files[name]

    held.runs.files_of["predict-1"] = Cut(files)
    code, _, err = task(*words)
    assert (code, "ended after 300 of 768 bytes" in err, wanted.exists()) == (1, True, False)
    held.runs.files_of["predict-1"] = files
    held.runs.fetched.clear()
    assert task(*words)[0] == 0
    assert (wanted.read_bytes(), len(held.runs.fetched)) == (body, 2)
    assert {path.name for path in tmp_path.iterdir()} == {"predicted.csv", "task.yaml"}
