"""Write all rows of a score run into a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tornio.errors import InvalidFile
from tornio.files.spreadsheets import write_csv
from tornio.files.whole import check_folder, writing
from tornio.schemas.runs import RunPlan
from tornio.schemas.scoring import ScoreOutput
from tornio.scoring.scored_run import ScoredRun
from tornio.storage.port import ObjectStore

_PER_LABEL = ("probabilities", "label_losses")


def write_scores(run: ScoredRun, path: Path, *, escape: bool = True) -> None:
    """Write all rows, most suspicious first, into a .parquet, .csv or .jsonl. The file appears only when it is whole.

    ``escape``: make cells of CSV harmless that a spreadsheet would take for formulas. All rows are held in memory.
    Raises InvalidFile.
    """
    check_writable(path)
    suffix = path.suffix.lower()
    rows = pa.concat_tables(run.tables()).take(run.ranked.order)
    with writing(path) as part:
        if suffix == ".parquet":
            pq.write_table(rows, part, compression="zstd")
        elif suffix == ".csv":
            columns = [name for name in rows.column_names if name not in _PER_LABEL]
            names = [*columns, *(f"p({label})" for label in run.labels)]
            write_csv(part, names, _flat(rows, columns), escape=escape)
        else:
            with part.open("w", encoding="utf-8") as out:
                out.writelines(_json_lines(rows))


def write_fetched(plan: RunPlan, output: dict[str, Any], store: ObjectStore, path: Path, escape: bool) -> None:
    """Write all rows of a run whose parts were fetched into this store: see ``write_scores``."""
    write_scores(ScoredRun(plan, ScoreOutput.model_validate(output), store, None), path, escape=escape)


def check_writable(path: Path) -> None:
    """Raises InvalidFile for a path that ``write_scores`` cannot write. Check it before a long run."""
    if path.suffix.lower() not in (".parquet", ".csv", ".jsonl"):
        raise InvalidFile(f"{path}: the ending {path.suffix!r} says no format. Use .parquet, .csv or .jsonl")
    check_folder(path)


def _flat(rows: pa.Table, columns: Sequence[str]) -> Iterator[list[Any]]:
    """The cells of each row, with a column for the probability of each label, because CSV has no lists of numbers."""
    for batch in rows.to_batches(max_chunksize=1000):
        for row in batch.to_pylist():
            yield [_digits(row[name]) for name in columns] + [_digits(one) for one in row["probabilities"]]


def _digits(cell: Any) -> Any:
    """As many digits of a number as its 32 bits hold; truth values as other programs write them."""
    if isinstance(cell, bool):
        return str(cell).lower()
    return float(f"{cell:.7g}") if isinstance(cell, float) else cell


def _json_lines(rows: pa.Table) -> Iterator[str]:
    for batch in rows.to_batches(max_chunksize=1000):
        for row in batch.to_pylist():
            yield json.dumps(row, ensure_ascii=False) + "\n"
