"""Files that a command writes are never files that it reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tornio.cli.labelled_files import check_outputs
from tornio.errors import InvalidFile, InvalidInput

pytestmark = pytest.mark.unit


def test_a_file_that_is_read_is_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput, match="is read: write to another one"):
        check_outputs(None, tmp_path / "data.csv", "data.csv", None)
    with pytest.raises(InvalidInput, match="is read"):
        check_outputs(Path("test.csv"), None, "data.csv", "./test.csv")
    with pytest.raises(InvalidInput, match="give two paths"):
        check_outputs(Path("out"), tmp_path / "out", None, None)
    with pytest.raises(InvalidFile, match="does not exist"):
        check_outputs(Path("nowhere/out"), None, None, None)
    check_outputs(Path("out.html"), Path("out.parquet"), "data.csv", None)
