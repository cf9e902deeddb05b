"""Write all rows of a score run into a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from tornio.errors import InvalidFile
from tornio.files.cells import SEPARATOR
from tornio.files.whole import check_folder, writing
from tornio.scoring.scored_run import ScoredRun


def write_scores(run: ScoredRun, path: Path) -> None:
    """Write all rows, most suspicious first, into a .parquet, .csv or .jsonl. The file appears only when it is whole.

    It holds all rows in memory. Raises InvalidFile.
    """
    check_writable(path)
    suffix = path.suffix.lower()
    rows = pa.concat_tables(run.tables()).take(run.ranked.order)
    with writing(path) as part:
        if suffix == ".parquet":
            pq.write_table(rows, part, compression="zstd")
        elif suffix == ".csv":
            pa.csv.write_csv(_flat(rows, run.labels), part)
        else:
            with part.open("w", encoding="utf-8") as out:
                out.writelines(_json_lines(rows))


def check_writable(path: Path) -> None:
    """Raises InvalidFile for a path that ``write_scores`` cannot write. Check it before a long run."""
    if path.suffix.lower() not in (".parquet", ".csv", ".jsonl"):
        raise InvalidFile(f"{path}: the ending {path.suffix!r} says no format. Use .parquet, .csv or .jsonl")
    check_folder(path)


def _flat(rows: pa.Table, labels: tuple[str, ...]) -> pa.Table:
    """The rows without lists, which CSV does not have: labels are joined, and each probability has a column."""
    for name in ("given", "predicted"):
        joined = pc.binary_join(rows.column(name), SEPARATOR)
        rows = rows.set_column(rows.schema.get_field_index(name), name, joined)
    probabilities = rows.column("probabilities").combine_chunks()
    for number, label in enumerate(labels):
        rows = rows.append_column(f"p({label})", pc.list_element(probabilities, number))
    return rows.drop_columns(["probabilities", "label_losses"])


def _json_lines(rows: pa.Table) -> Iterator[str]:
    for batch in rows.to_batches(max_chunksize=1000):
        for row in batch.to_pylist():
            yield json.dumps(row, ensure_ascii=False) + "\n"
