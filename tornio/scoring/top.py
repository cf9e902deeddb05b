"""The rows of a score run that a user looks at first."""

from __future__ import annotations

from itertools import islice

from tornio.api import MAX_TOP
from tornio.schemas.runs import RunTop
from tornio.scoring.scored_run import ScoredRow, ScoredRun

COLUMNS = ("suspicion", "loss", "given", "predicted", "text")
_CHARACTERS = 200


def write_top(run: ScoredRun) -> None:
    """Write the most suspicious rows that people may see, so that showing them does not read the whole result."""
    rows = tuple(map(_cells, islice(run.showable(at_once=MAX_TOP), MAX_TOP)))
    run.store.put(run.run_keys.top, RunTop(run=run.run, columns=COLUMNS, rows=rows).encode())


def _cells(row: ScoredRow) -> tuple[str, ...]:
    return f"{row.ranking:.3f}", f"{row.loss:.3f}", "|".join(row.given), "|".join(row.predicted), shown(row.text)


def shown(text: str) -> str:
    """Return the beginning of a text, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= _CHARACTERS else line[: _CHARACTERS - 3] + "..."
