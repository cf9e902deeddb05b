"""The notebooks of the examples: where they are, and one of them run from beginning to end."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "notebooks"
CELL_SECONDS = 500
"""Time for one cell, with room for a busy machine."""


def names() -> list[str]:
    """Return the names of all notebooks, without the ending."""
    return sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def read(name: str) -> Any:
    """Return a notebook as it is stored."""
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]


def run(name: str, folder: Path, settings: Mapping[str, str]) -> dict[str, Any]:
    """Run a notebook on a copy below ``folder``, and return what its last cell prints, which is one line of JSON.

    ``settings``: environment variables that its cell of parameters reads. Raises nbclient's CellExecutionError for the
    first cell that fails.
    """
    place = folder / "notebooks"
    shutil.copytree(FOLDER, place)
    shutil.copytree(ROOT / "examples" / "support" / "data", folder / "support" / "data")
    notebook = read(name)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", **settings}
    resources = {"metadata": {"path": str(place)}}
    client = NotebookClient(notebook, timeout=CELL_SECONDS, startup_timeout=CELL_SECONDS, resources=resources)
    client.execute(env=environment)
    nbformat.write(notebook, place / f"{name}.ipynb")  # type: ignore[no-untyped-call]
    last = [cell for cell in notebook.cells if cell.cell_type == "code"][-1]
    printed = "".join(output.text for output in last.outputs if output.output_type == "stream")
    found: dict[str, Any] = json.loads(printed)
    return found
