"""The commands about runs, against the app with a backend in memory, and against a folder without any server."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.cli.test_commands import TASK, Tornio, answer, backend, task, tornio
from tests.unit.gateway.fake import NOW, FakeBackend
from tests.unit.runs.test_runs import Played
from tornio.api import LabelRequest, PredictRequest, PurgeRequest, RunOut, RunProgressOut, ScoreRequest
from tornio.cli import main, screen
from tornio.client import Client
from tornio.schemas.jobs import LabelArgs
from tornio.schemas.keys import workspace_run
from tornio.schemas.runs import RunPlan
from tornio.storage.local import LocalStore

pytestmark = pytest.mark.unit
__all__ = ["backend", "task", "tornio"]  # fixtures


def hold(backend: FakeBackend, **changes: object) -> RunOut:
    values = {"run": "score-1", "job": "score", "state": "running", "attempt": 1, "asked_by": "ops", "asked_at": NOW}
    run = RunOut.model_validate({**values, **changes})
    backend.runs.held.setdefault(TASK, []).append(run)
    return run


def test_a_run_is_asked_for(task: Tornio, backend: FakeBackend) -> None:
    words = ("run", "score", TASK, "--data", "s3://bucket/data.csv", "--cross-validate", "5", "--label-column", "y")
    code, out, _ = task(*words)
    assert code == 0
    assert "is waiting. Wait for it with: tornio run wait acme/support score-" in out
    (asked,) = backend.runs.asked
    assert isinstance(asked, ScoreRequest)
    assert (asked.data, asked.folds, asked.label_column, asked.model) == ("s3://bucket/data.csv", 5, "y", None)
    assert answer(task(*words, "--json"))["state"] == "waiting"


def test_the_teacher_is_asked_to_label_the_pool(task: Tornio, backend: FakeBackend) -> None:
    assert answer(task("run", "label", TASK, "--json"))["job"] == "label"
    assert backend.runs.asked == [LabelRequest()]


def test_a_prediction_is_asked_for(task: Tornio, backend: FakeBackend) -> None:
    words = ("run", "predict", TASK, "--data", "s3://bucket/data/", "--sort", "least-certain", "--top-k", "3")
    assert answer(task(*words, "--version", "v0003", "--format", "csv", "--json"))["job"] == "predict"
    asked = PredictRequest(data="s3://bucket/data/", sort="least-certain", top_k=3, version="v0003", format="csv")
    assert backend.runs.asked == [asked]
    assert answer(task("run", "predict", TASK, "--pool", "--json"))["state"] == "waiting"
    code, _, err = task("run", "predict", TASK, "--data", "hub:some/texts")
    assert (code, "tornio predict acme/support FILE --output OUT" in err) == (1, True)


def test_a_purge_is_asked_for_followed_and_told(
    task: Tornio, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    code, _, err = task("purge", TASK)
    assert (code, "Take them out?" in err, backend.runs.asked) == (1, True, [])
    learned = {"version": "v1", "labelled": 1, "read": 0}
    output = {
        "deleted": 2, "records": 2, "parts": 1, "caches": 3, "views": 0, "score_runs": 1, "answers": 0,
        "versions": [learned], "encoders": ["mine"],
    }  # fmt: skip
    looks = []

    def later(seconds: float) -> None:
        looks.append(seconds)
        waiting = backend.runs.held[TASK][0]
        backend.runs.held[TASK][0] = waiting.model_copy(update={"state": "done", "output": output})

    monkeypatch.setattr("tornio.cli.deleting.time.sleep", later)
    code, out, err = task("purge", TASK, "--yes")
    assert (code, len(looks), backend.runs.asked) == (0, 1, [PurgeRequest()])
    assert "took the texts of 2 records of acme/support out of 1 parts of the pool" in out
    assert "version v1 learned from 1 of them" in err
    assert "base model mine was adapted to some of them" in err
    assert "tornio train-now acme/support --force" in err
    assert "Not reached: backups" in err


def test_both_score_commands_have_an_option_for_each_field_of_the_request(task: Tornio) -> None:
    names = {"folds": "--cross-validate"}
    options = {names.get(name, "--" + name.replace("_", "-")) for name in ScoreRequest.model_fields if name != "job"}
    for words in (("score",), ("run", "score")):
        help = task(*words, "--help")[1]
        assert {option for option in options if option not in help} == set()
    assert str(ScoreRequest.model_fields["seed"].description) in task("run", "score", "--help")[1]


def test_options_become_the_request(task: Tornio, backend: FakeBackend) -> None:
    more = ("--labels", "a, b ,", "--multi-label", "--strict", "--separator", ";", "--delimiter", ",", "--seed", "7")
    code, _, err = task("run", "score", TASK, "--data", "s3://b/x.csv", "--part-rows", "32", *more)
    assert (code, err) == (0, "")
    assert backend.runs.asked == [
        ScoreRequest(
            data="s3://b/x.csv",
            part_rows=32,
            labels=("a", "b"),
            multi_label=True,
            strict=True,
            separator=";",
            delimiter=",",
            seed=7,
        )
    ]
    code, _, err = task("run", "score", TASK, "--data", "s3://b/x.csv", "--separator", "")
    assert (code, "--separator: String should have at least 1 character" in err) == (1, True)
    code, _, err = task("run", "score", TASK, "--data", "s3://b/x.csv", "--part-rows", "0")
    assert (code, "--part-rows" in err) == (2, True)


def test_data_that_is_not_in_s3_is_refused_with_the_way_that_there_is(task: Tornio) -> None:
    code, _, err = task("run", "score", TASK, "--data", "hub:ag_news")
    assert code == 1
    assert "tornio score" in err
    assert err.count("\n") == 1


def test_runs_say_how_far_they_are(task: Tornio, backend: FakeBackend) -> None:
    assert "no run yet" in task("runs")[1]
    hold(backend, progress=RunProgressOut(stage="score rows", done=5000, total=20000, unit="rows"))
    hold(backend, run="score-2", state="waiting", error="its process is gone", why="the cluster is away")
    hold(backend, run="train-3", job="train", state="done", asked_by=None, output={"version": "v1"})
    out = task("runs")[1]
    assert "score rows: 5,000 of 20,000 rows" in out
    assert "its process is gone; the cluster is away" in out
    assert "train-3" in out
    assert "train-3" not in task("runs", TASK, "--most", "2")[1]
    assert [run["run"] for run in answer(task("runs", TASK, "--json"))[TASK]] == ["score-1", "score-2", "train-3"]


def test_a_run_is_shown_and_cancelled(task: Tornio, backend: FakeBackend) -> None:
    hold(backend, state="done", started_at=NOW, finished_at=NOW, output={"rows": 12, "labels": ["a", "b"]})
    out = task("run", "show", TASK, "score-1")[1]
    assert "took 0.0 s" in out
    assert "labels: a, b" in out
    assert "done already" in task("run", "cancel", TASK, "score-1")[2]
    hold(backend, run="score-2")
    assert "score-2 is cancelled" in task("run", "cancel", TASK, "score-2")[1]
    assert answer(task("run", "show", TASK, "score-2", "--json"))["state"] == "cancelled"
    assert "no run" in task("run", "show", TASK, "../x")[2]


def test_watched_it_is_looked_at_again(task: Tornio, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(backend)
    looks: list[float] = []

    def later(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("tornio.cli.screen.time.sleep", later)
    code, out, _ = task("runs", TASK, "--watch", "--json")
    assert code == 130
    assert len([json.loads(line) for line in out.splitlines()]) == 3


@pytest.fixture
def nowhere() -> Callable[..., int]:
    """Commands where nothing says that there is a server."""
    return lambda *words: main(list(words), Client)


def test_without_a_server_the_runs_of_this_folder_are_listed(
    nowhere: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("TORNIO_URL", "TORNIO_STORE_DIR", "TORNIO_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert nowhere("runs") == 1
    assert "Tornio is not running here" in capsys.readouterr().err
    plan = RunPlan.of("score", "default", None, LabelArgs(pool_seq=1, spec_rev=1))
    played = Played(LocalStore(Path(".tornio") / "store"), plan, workspace_run("default", plan.run)).planned()
    played.start(1)
    played.finish(1)
    assert nowhere("runs") == 0
    assert plan.run in capsys.readouterr().out
    assert nowhere("runs", "--json") == 0
    (run,) = json.loads(capsys.readouterr().out)["default"]
    assert (run["state"], run["output"]) == ("done", {"rows": 9})


def test_beside_a_server_of_one_s_own_the_runs_of_no_task_are_listed_too(
    task: Tornio, backend: FakeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORNIO_STORE_DIR", "")  # restored afterwards, for the session sets it
    session = Path(".tornio") / "session.json"
    session.parent.mkdir()
    session.write_text(
        json.dumps({"url": "http://127.0.0.1:1", "environment": {"TORNIO_STORE_DIR": str(tmp_path / "kept")}})
    )
    session.chmod(0o600)
    hold(backend)
    plan = RunPlan.of("score", "default", None, LabelArgs(pool_seq=1, spec_rev=1))
    Played(LocalStore(tmp_path / "kept"), plan, workspace_run("default", plan.run)).planned()
    found = answer(task("runs", "--json"))
    assert [run["run"] for run in found["default"]] == [plan.run]
    assert [run["run"] for run in found[TASK]] == ["score-1"]
    out = task("runs")[1]
    assert "default (no task)" in out
    assert plan.run in task("run", "show", "default", plan.run)[1]


def test_runs_of_tornio_score_in_this_folder_are_listed_beside_those_of_a_server(
    task: Tornio, backend: FakeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORNIO_STORE_DIR", raising=False)
    assert "There is no store" in task("run", "show", "default", "score-1")[2]
    hold(backend)
    plan = RunPlan.of("score", "default", None, LabelArgs(pool_seq=1, spec_rev=1))
    Played(LocalStore(tmp_path / ".tornio" / "store"), plan, workspace_run("default", plan.run)).planned()
    assert list(answer(task("runs", "--json"))) == [TASK, "default"]
    assert list(answer(task("runs", TASK, "--json"))) == [TASK]


def test_without_a_server_a_task_that_the_folder_does_not_have_is_an_error(
    nowhere: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("TORNIO_URL", "TORNIO_STORE_DIR", "TORNIO_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".tornio" / "store").mkdir(parents=True)
    assert nowhere("runs", TASK) == 1
    said = capsys.readouterr().err
    assert f"There is no run of {TASK} in the store that is used here" in said
    assert f"There is no .tornio/session.json in {tmp_path} and the folders above it" in said


@pytest.mark.parametrize("width", [40, 80])
def test_ids_are_whole_on_a_narrow_terminal(
    task: Tornio, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    run = hold(backend, run="score-0123456789abcdef0123", why="the cluster is away and will be back in some time")
    assert run.run in task("runs")[1]
    assert TASK in task("runs")[1]
    assert TASK in task("tasks")[1]


@pytest.mark.parametrize("width", [40, 80])
def test_an_id_takes_no_other_column_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    """The audit log lost who did what, and the uploads their sizes, beside a digest of 64 characters."""
    monkeypatch.setenv("COLUMNS", str(width))
    row = ("f" * 64 + ".csv", "my reviews.csv", "12.5", "ci", "in 14 days", "a digest: " + "0" * 64)
    screen.show(screen.table(("=upload", "file", "#MiB", "=sent by", "expires", "=detail"), [row]))
    shown = capsys.readouterr().out.splitlines()[1].split()
    assert shown[0] == row[0]
    assert shown[-3:] == ["a", "digest:", "0" * 64]
    assert "12.5" in shown
    assert "ci" in shown


def test_a_word_that_is_too_long_is_folded(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    screen.show(screen.table(("=run", "text"), [("score-1", "\u5b57" * 200)]))
    assert all(len(line) <= 80 for line in capsys.readouterr().out.splitlines())


def test_results_inside_of_results_are_plain_lines(task: Tornio, backend: FakeBackend) -> None:
    output = {"metrics": {"accuracy": 0.5, "by_label": {"bug": None}}, "sizes": [1, 2], "labels": ["a", "b"]}
    hold(backend, state="done", output=output)
    out = task("run", "show", TASK, "score-1")[1]
    assert "metrics.accuracy: 0.5\nmetrics.by_label.bug: null\nsizes: [1, 2]\nlabels: a, b\n" in out
