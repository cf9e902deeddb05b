"""Read the data of a notebook: the messages of the demo, a labelled file, or a data set of the Hugging Face hub.

The notebooks import it from the folder in which they are: ``from reading import labelled``.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import pandas as pd

from tornio.cli.labelled_files import LabelledFiles
from tornio.errors import InvalidInput
from tornio.files.cells import SEPARATOR

DEMO, DEMO_TEST = "demo", "demo-test"
"""The support messages that come with the project: those of the pool with their true labels, and those of the test."""
_DEMO_FOLDER = Path(__file__).parents[1] / "support" / "data"
_SEED = 7

# Cells that begin with %%bash find the `tornio` that belongs to this Python. Jupyter asks all commands for colours,
# and notebooks that are exported as text or HTML are easier to read without them.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
for variable in ("FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE"):
    os.environ.pop(variable, None)
os.environ.setdefault("COLUMNS", "110")
pd.set_option("display.max_colwidth", 100)
warnings.filterwarnings("ignore", "IProgress not found")  # bars of libraries are text where ipywidgets is missing


def labelled(where: str, rows: int | None = None, label_column: str | None = None) -> pd.DataFrame:
    """Return a table with the columns ``text`` and ``label``, at most ``rows`` rows of it, drawn with a fixed seed.

    ``where``: ``DEMO`` or ``DEMO_TEST``; a CSV, TSV, JSON lines, Parquet or Arrow file, whose columns are found by
    their usual names; or ``hub:NAME[SPLIT]``. ``label_column``: its name where it is not a usual one. Raises
    InvalidFile for what cannot be read, and InvalidInput where no row has a text and a label.
    """
    table = _demo(where) if where in (DEMO, DEMO_TEST) else _file(where, label_column)
    if table.empty:
        raise InvalidInput(f"{where} has no row with a text and a label")
    if rows is not None and rows < len(table):
        table = table.sample(rows, random_state=_SEED)
    return table.reset_index(drop=True)


def _demo(where: str) -> pd.DataFrame:
    if where == DEMO_TEST:
        table = pd.read_csv(_DEMO_FOLDER / "test.csv")
    else:
        table = pd.read_csv(_DEMO_FOLDER / "pool.csv").merge(pd.read_csv(_DEMO_FOLDER / "answers.csv"), on="id")
    return table[["text", "label"]]


def _file(where: str, label_column: str | None) -> pd.DataFrame:
    items = LabelledFiles(None, label_column, False, SEPARATOR).labels(where, quiet=True)
    rows = {item.text: item.labels[0] for item in items if item.labels}  # each text once
    return pd.DataFrame({"text": list(rows), "label": list(rows.values())})
