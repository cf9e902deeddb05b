"""Texts, labels and messages that look like markup or command a terminal are shown as they are, by every command."""

from __future__ import annotations

import ast
import io
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

import tornio as package
from tests.unit.cli.test_commands import SPEC, TASK, Tornio, answer, backend, put, task, tornio
from tests.unit.cli.test_runs import hold
from tests.unit.gateway.fake import NOW, FakeBackend
from tornio import errors
from tornio.api import ChangedAnswer, LabelIn, RunProgressOut, TaskName, VersionOut
from tornio.cli import score, screen
from tornio.scoring.scored_run import ScoredRun

pytestmark = pytest.mark.unit
__all__ = ["backend", "task", "tornio"]  # fixtures

HOSTILE = "[bold]x[/INST][/] :smile: \x1b[2J\x1b]0;title\x07\x9b\x7f\u202eltr\u2066"
SHOWN = r"[bold]x[/INST][/] :smile: \u001b[2J\u001b]0;title\u0007\u009b\u007f\u202eltr\u2066"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def clean(done: tuple[int, str, str], code: int = 0) -> str:
    """What a command printed, none of which a terminal obeys."""
    ended, out, err = done
    assert ended == code, err
    assert not OBEYED.findall(out + err)
    return " ".join((out + err).split())


def test_rich_is_reached_through_the_screen_alone() -> None:
    root = Path(package.__file__).parents[1]
    for path in (path for room in ("tornio", "jobs", "services", "scripts") for path in (root / room).rglob("*.py")):
        if path == root / "tornio" / "cli" / "screen.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] == "rich"], path


@pytest.fixture
def hostile(task: Tornio, backend: FakeBackend) -> FakeBackend:
    """A task whose server answers with hostile text wherever text can be."""
    backend.serve(TASK, "v1")
    held = backend.held[TaskName.parse(TASK)]
    held.labels["1"] = LabelIn(text=HOSTILE, labels=["bug"])
    changed = ChangedAnswer(record_id="1", text=HOSTILE, label=[HOSTILE], before=[], after=[HOSTILE])
    held.versions = [
        VersionOut(
            version="v1", iteration=1, state="refused", reasons=[HOSTILE], warnings=[HOSTILE], training_labels=1,
            holdout=1, changed=[changed], created_at=NOW,
        )
    ]  # fmt: skip
    hold(backend, state="failed", error=HOSTILE, output={"labels": [HOSTILE], "model": HOSTILE})
    hold(backend, run="score-2", why=HOSTILE, progress=RunProgressOut(stage=HOSTILE, done=1, total=2, unit=HOSTILE))
    return backend


@pytest.mark.parametrize(
    "words",
    [
        ("predict", TASK, HOSTILE),
        ("zero-shot", HOSTILE, "-l", "praise", "-l", "anger"),
        ("versions", TASK),
        ("runs", TASK),
        ("run", "show", TASK, "score-1"),
        ("run", "show", TASK, "score-2"),
    ],
)
def test_what_a_server_says_is_shown_as_it_is(task: Tornio, hostile: FakeBackend, words: tuple[str, ...]) -> None:
    assert SHOWN in clean(task(*words))


@pytest.mark.parametrize("words", [("versions", TASK), ("runs", TASK), ("run", "show", TASK, "score-1")])
def test_json_keeps_its_meaning(task: Tornio, hostile: FakeBackend, words: tuple[str, ...]) -> None:
    done = task(*words, "--json")
    clean(done)
    assert HOSTILE in json.dumps(answer(done), ensure_ascii=False).replace(r"\u001b", "\x1b").replace(r"\u0007", "\x07")


def test_exported_labels_are_data_in_json_lines(task: Tornio, hostile: FakeBackend) -> None:
    done = task("export", "labels", TASK)
    clean(done)
    assert json.loads(done[1])["text"] == HOSTILE


@pytest.mark.parametrize("error", [errors.Unavailable(HOSTILE), errors.InvalidInput(HOSTILE), errors.NotFound(HOSTILE)])
def test_errors_of_a_server(task: Tornio, backend: FakeBackend, error: Exception) -> None:
    backend.fails = error
    for words in (("status", TASK), ("versions", TASK), ("pool", "add", TASK, put("a.csv", "text\na\n"))):
        assert SHOWN in clean(task(*words), 1)


def test_names_and_contents_of_files(task: Tornio) -> None:
    name = HOSTILE.replace("/", "") + ".csv"
    assert SHOWN.replace("/", "") in clean(task("pool", "add", TASK, name), 1)
    put(name, f"text,label\na,{HOSTILE}\n")
    clean(task("labels", "import", TASK, name), 1)
    put(name, f"{HOSTILE}\na\n")
    clean(task("pool", "add", TASK, name, "--text-column", HOSTILE), 1)
    put("task.yaml", SPEC + 'guidelines: "[/b]"\n')
    clean(task("apply", "task.yaml"))


def test_the_table_of_a_score_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    row = SimpleNamespace(ranking=0.5, loss=1.0, given=[HOSTILE], predicted=["[/bad]"], text="[/bad] [red]late :smile:")
    counts = SimpleNamespace(
        rows=1,
        model=HOSTILE,
        rejected_rows=1,
        rejected=HOSTILE,
        agreement=0.5,
        first_rejected=HOSTILE,
        contradictions=0,
        unjudged=1,
        unjudged_labels=[HOSTILE],
    )
    scored = SimpleNamespace(output=counts, showable=lambda: iter([row]))
    score._show(cast(ScoredRun, scored), 10)
    shown = clean((0, *capsys.readouterr()))
    assert f"{SHOWN} [/bad] [/bad] [red]late :smile:" in shown


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    terminal = screen._Terminal(file=shown, force_terminal=True, width=200, color_system=None)
    monkeypatch.setattr(screen, "err", lambda: terminal)
    with screen.progress("[bold]reading[/INST]\x9b", 2) as advance:
        advance(2)
    assert "[bold]reading[/INST]\\u009b" in shown.getvalue()
