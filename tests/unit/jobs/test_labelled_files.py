"""Labelled files as a task of their own, as `tornio compare` and `tornio simulate` use them: what --spec changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tornio.cli.labelled_files import LabelledFiles, task_of_files
from tornio.errors import InvalidFile, InvalidInput, InvalidSpec
from tornio.files.cells import SEPARATOR
from tornio.spec import TaskSpec

SPEC = """
workspace: acme
name: reviews
labels: [complaint, praise, question]
training: {method: consistency, settings: {objective: uda}}
classifier: {kind: fine-tuned, fine_tuning: {epochs: 3}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("TORNIO_S3_BUCKET", "TORNIO_STATE", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORNIO_STORE_DIR", "store")  # the files have a store of their own, whatever this is
    (tmp_path / "data.csv").write_text("text,label\nGood,praise\nBad,complaint\n")
    (tmp_path / "task.yaml").write_text(SPEC)
    return tmp_path


def spec_of(folder: Path, spec: str | None, multi_label: bool = False) -> TaskSpec:
    read = LabelledFiles(None, None, multi_label, SEPARATOR, folder / spec if spec else None)
    context, name = task_of_files(read, str(folder / "data.csv"), None, quiet=True)
    return context.tasks.open(*name).spec


def test_without_a_spec_labels_are_those_of_the_data_and_settings_the_defaults(folder: Path) -> None:
    spec = spec_of(folder, None)
    assert spec.label_names == ("complaint", "praise")
    assert spec.training.method == "supervised"


def test_a_spec_brings_its_settings_and_labels_and_not_its_name(folder: Path) -> None:
    spec = spec_of(folder, "task.yaml")
    assert spec.label_names == ("complaint", "praise", "question")
    assert (spec.training.method, spec.training.settings) == ("consistency", {"objective": "uda"})
    assert spec.classifier.fine_tuning.epochs == 3
    assert spec.workspace == "compare"


def test_another_spec_for_the_same_files_is_another_task(folder: Path) -> None:
    first, plain = spec_of(folder, "task.yaml"), spec_of(folder, None)
    (folder / "task.yaml").write_text(SPEC.replace("epochs: 3", "epochs: 4"))
    assert len({first.name, plain.name, spec_of(folder, "task.yaml").name}) == 3


def test_a_label_that_the_spec_does_not_have_is_refused(folder: Path) -> None:
    (folder / "data.csv").write_text("text,label\nGood,praise\nBad,anger\n")
    with pytest.raises(InvalidInput, match=r"'anger', which .*task.yaml does not have"):
        spec_of(folder, "task.yaml")


def test_options_that_contradict_the_spec_are_refused(folder: Path) -> None:
    with pytest.raises(InvalidInput, match="one label"):
        spec_of(folder, "task.yaml", multi_label=True)


def test_a_spec_that_cannot_be_used_is_said(folder: Path) -> None:
    with pytest.raises(InvalidFile):
        spec_of(folder, "none.yaml")
    (folder / "task.yaml").write_text("workspace: acme\n")
    with pytest.raises(InvalidSpec):
        spec_of(folder, "task.yaml")
