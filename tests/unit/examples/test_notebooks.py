"""The notebooks as they are stored, and how they read their data. Running them: tests/integration/test_notebooks.py."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import notebooks
from tornio.errors import InvalidFile, InvalidInput

ABSOLUTE = re.compile(r"(?<![\w/.<])/(?:home|root|tmp|work|Users|mnt|data|opt|srv)\b")


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that notebooks import from their folder. It changes the environment, which is set back."""
    for variable in ("PATH", "COLUMNS", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE"):
        monkeypatch.setenv(variable, "/usr/bin:/bin" if variable == "PATH" else "1")
    monkeypatch.syspath_prepend(str(notebooks.FOLDER))
    yield importlib.import_module("reading")
    del sys.modules["reading"]


def test_there_are_notebooks() -> None:
    assert notebooks.names()


@pytest.mark.parametrize("name", notebooks.names())
def test_a_notebook_is_stored_without_outputs(name: str) -> None:
    code = [cell for cell in notebooks.read(name).cells if cell.cell_type == "code"]
    assert code
    assert not [cell.id for cell in code if cell.outputs or cell.execution_count is not None]


@pytest.mark.parametrize("name", notebooks.names())
def test_a_notebook_names_no_path_of_a_machine(name: str) -> None:
    text = (notebooks.FOLDER / f"{name}.ipynb").read_text("utf-8")
    assert not ABSOLUTE.findall(text)


def test_such_a_path_would_be_found() -> None:
    assert ABSOLUTE.findall('"pd.read_csv(\\"/home/somebody/data.csv\\")"')


@pytest.mark.parametrize("name", notebooks.names())
def test_a_notebook_is_in_the_list(name: str) -> None:
    assert f"(../examples/notebooks/{name}.ipynb)" in (notebooks.ROOT / "docs" / "notebooks.md").read_text("utf-8")


def test_the_demo_is_the_default(reading: Any) -> None:
    pool, test = reading.labelled(reading.DEMO), reading.labelled(reading.DEMO_TEST, 50)
    assert (len(pool), len(test)) == (844, 50)
    assert pool.label.nunique() == 7
    assert not set(pool.text) & set(test.text)


def test_rows_are_drawn_with_a_fixed_seed(reading: Any) -> None:
    assert reading.labelled(reading.DEMO, 20).equals(reading.labelled(reading.DEMO, 20))


def test_a_file_is_read_by_the_usual_names_of_its_columns(reading: Any, tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text("body,stars,category\nGood,5,praise\nBad,1,complaint\nGood,5,praise\n")
    assert reading.labelled(str(path)).to_dict("list") == {"text": ["Good", "Bad"], "label": ["praise", "complaint"]}


def test_a_column_of_labels_without_a_usual_name_is_named(reading: Any, tmp_path: Path) -> None:
    path = tmp_path / "questions.csv"
    path.write_text("text,label,label_coarse\nWho is it?,HUM:ind,HUM\nWhere is it?,LOC:other,LOC\n")
    assert reading.labelled(str(path), label_column="label_coarse").label.tolist() == ["HUM", "LOC"]


def test_a_page_is_shown_in_a_frame_that_runs_no_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(notebooks.FOLDER))
    shown = importlib.import_module("showing").page('<p class="x">5 < 6</p>', height=300).data
    del sys.modules["showing"]
    assert 'srcdoc="&lt;p class=&quot;x&quot;&gt;5 &lt; 6&lt;/p&gt;"' in shown
    assert " sandbox" in shown


def test_a_file_that_is_missing_is_said(reading: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidFile):
        reading.labelled(str(tmp_path / "no-such.csv"))


def test_a_file_without_labels_is_said(reading: Any, tmp_path: Path) -> None:
    path = tmp_path / "unlabelled.csv"
    path.write_text("text,label\nGood,\n")
    with pytest.raises(InvalidInput):
        reading.labelled(str(path))
