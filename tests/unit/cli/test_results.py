"""``tornio run show``, ``wait`` and ``fetch``: the result of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.unit.cli.test_commands import TASK, Tornio, answer, backend, task, tornio
from tests.unit.cli.test_runs import hold
from tests.unit.gateway.fake import KEYS, PREDICTOR, AppTransport, FakeBackend, app_of
from tornio.api import RunFileOut, RunProgressOut
from tornio.cli import main
from tornio.cli.fetched import MARKER, open_fetched
from tornio.client import Client
from tornio.errors import Conflict, InvalidInput
from tornio.files.locked import locked

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
    assert "tornio run fetch acme/support compare-1 -o FOLDER" in err  # it has no rows to write into a file
    held.runs.rows_of["score-1"] = [["1.0", "late"]]
    hold(held, run="score-1", state="done")
    assert "tornio run fetch acme/support score-1 -o FILE.csv" in task("run", "wait", TASK, "score-1")[2]
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
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    assert found.pop(MARKER)
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


def test_a_folder_has_the_files_of_one_run(task: Tornio, held: FakeBackend, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert task("run", "fetch", TASK, "compare-1", "-o", str(folder))[0] == 0
    hold(held, run="compare-2", job="compare", state="done")
    held.runs.files_of["compare-2"] = {"results.parquet": b"PAR2"}  # of the same size
    code, _, err = task("run", "fetch", TASK, "compare-2", "-o", str(folder))
    assert (code, "is the folder of another run. Give another --output" in err) == (1, True)
    assert (folder / "results.parquet").read_bytes() == b"PAR1"
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "results.parquet").write_bytes(b"mine")
    code, _, err = task("run", "fetch", TASK, "compare-1", "-o", str(mine))
    assert (code, "has files that are not of this run" in err) == (1, True)
    assert [path.name for path in mine.iterdir()] == ["results.parquet"]


def test_a_file_that_has_changed_since_is_fetched_again(tmp_path: Path) -> None:
    path = tmp_path / "out" / "report.html"
    one, other = (RunFileOut(name="report.html", size=3, etag=etag) for etag in "ab")
    with open_fetched(path.parent, TASK, "score-1") as fetched:
        assert not fetched.has(one, path)
        path.write_bytes(b"old")
        fetched.add(one)
    with (path.parent / MARKER).open("ab") as marker:
        marker.write(b'["report.html", "b')  # killed here
    with open_fetched(path.parent, TASK, "score-1") as fetched:
        assert (fetched.has(one, path), fetched.has(other, path)) == (True, False)
        fetched.add(other)
        with pytest.raises(Conflict, match="Wait for it"), open_fetched(path.parent, TASK, "score-1"):
            pass
    with open_fetched(path.parent, TASK, "score-1") as fetched:
        assert (fetched.has(one, path), fetched.has(other, path)) == (False, True)
    (path.parent / MARKER).write_bytes(b"text\n")
    with pytest.raises(InvalidInput, match="cannot be read"), open_fetched(path.parent, TASK, "score-1"):
        pass


@pytest.mark.parametrize("output", ["preds.parquet", "preds"])
@pytest.mark.parametrize("left", [{}, {"rejected-000000.parquet": b"rejected"}])
def test_what_a_purge_has_left_is_no_result(
    task: Tornio, held: FakeBackend, tmp_path: Path, output: str, left: dict[str, bytes]
) -> None:
    hold(held, run="predict-1", job="predict", state="done")
    held.runs.files_of["predict-1"] = left
    code, _, err = task("run", "fetch", TASK, "predict-1", "-o", str(tmp_path / output))
    assert (code, "the files of predict-1 were deleted by a purge" in err) == (1, True)
    assert not (tmp_path / output).exists()


def test_rejected_rows_are_never_taken_for_the_result(task: Tornio, held: FakeBackend, tmp_path: Path) -> None:
    hold(held, run="predict-1", job="predict", state="done")
    held.runs.files_of["predict-1"] = {"predicted-000000-a.csv": b"a", "rejected-000000.parquet": b"rejected"}
    code, _, err = task("run", "fetch", TASK, "predict-1", "-o", str(tmp_path / "preds.parquet"))
    assert (code, "has 0 files that end in .parquet" in err) == (1, True)


def test_a_file_is_fetched_by_one_process_at_a_time(task: Tornio, held: FakeBackend, tmp_path: Path) -> None:
    words = ("run", "fetch", TASK, "compare-1", "-o", str(tmp_path / "mine.html"))
    held.runs.piece = 3
    body = held.runs.files_of["compare-1"]["comparison.html"]

    class Slow(dict[str, bytes]):
        """While the first piece is on its way, something happens to the part."""

        def __getitem__(self, name: str) -> bytes:
            if held.runs.fetched == ["comparison.html"]:
                happens(next(tmp_path.glob(".mine.html.*.partial")))
            return body

    def begins(part: Path) -> None:
        with pytest.raises(Conflict, match="another process writes"), locked(part):
            pass

    def appends(part: Path) -> None:
        with part.open("ab") as out:
            out.write(body)

    held.runs.files_of["compare-1"] = Slow(FILES)
    happens = appends
    code, _, err = task(*words)
    assert (code, "has 12 bytes instead of 6. Try again" in err) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["task.yaml"]
    held.runs.fetched.clear()
    happens = begins
    assert task(*words)[0] == 0
    assert (tmp_path / "mine.html").read_bytes() == body


def test_a_file_that_another_process_has_finished_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = tmp_path / "part"

    def finished(*_: object) -> None:
        part.rename(tmp_path / "whole")

    monkeypatch.setattr("tornio.files.locked.fcntl.flock", finished)
    with pytest.raises(Conflict), locked(part):
        pass


def test_the_user_s_own_folder_stays(task: Tornio, held: FakeBackend, tmp_path: Path) -> None:
    hold(held, run="score-1", job="score", state="done")
    held.runs.files_of["score-1"] = {"scores-000000.parquet": b"z"}
    mine = tmp_path / "s.csv.partial" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("x")
    code, _, err = task("run", "fetch", TASK, "score-1", "-o", str(tmp_path / "s.csv"))
    assert (code, "has files that are not of this run" in err, mine.read_text()) == (1, True, "x")


@pytest.mark.parametrize("name", ["predicted-../../evil.csv", "/etc/passwd", "..", ".tornio-run", "", "a\\b", "a\n"])
def test_no_name_of_a_file_leads_elsewhere(name: str) -> None:
    with pytest.raises(ValidationError):
        RunFileOut(name=name, size=1, etag="e")
