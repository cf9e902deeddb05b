"""What a score run says of its input: the first row that is put aside, and texts that contradict each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tornio.errors import InvalidFile, InvalidInput
from tornio.files.sources import find_files
from tornio.schemas.keys import workspace_run
from tornio.schemas.scoring import ScoreArgs, ScoreInput
from tornio.scoring.planning import labels_in
from tornio.scoring.staging import stage_input
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit


def args(path: Path, body: str, **more: object) -> ScoreArgs:
    path.write_text(body)
    return ScoreArgs.model_validate({"files": find_files(str(path)), "labels": (), "precision": "float32", **more})


def staged(given: ScoreArgs) -> ScoreInput:
    return stage_input(given, workspace_run("w", "r"), MemoryStore(), lambda _rows: None)


def test_the_first_row_that_is_put_aside_is_quoted_and_contradictions_are_counted(tmp_path: Path) -> None:
    body = "text,label\nLate,a\nfine,b\nlate,b\nLATE,b\nfine,b\nwhat,\nwho,c\n"
    given = args(tmp_path / "a.csv", body, labels=("a", "b"), part_rows=2)
    now = staged(given)
    assert now.contradictions == 1
    assert now.first_rejected == f"{tmp_path / 'a.csv'}, line 7: no label"
    assert ScoreInput.decode(now.encode(now.writer)) == now


def test_data_of_which_no_row_can_be_used_says_why(tmp_path: Path) -> None:
    lists = "text,label\none,\"['a', 'b']\"\ntwo,\"['b']\"\n"
    with pytest.raises(InvalidInput, match=r"a\.csv, line 2: the label .* looks like a list"):
        labels_in(args(tmp_path / "a.csv", lists, multi_label=True))
    with pytest.raises(InvalidFile, match=r"a\.csv, line 2: the label .* looks like a list"):
        staged(args(tmp_path / "a.csv", lists, multi_label=True, labels=("a", "b")))
