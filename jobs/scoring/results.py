"""What a score run found, row by row: the most suspicious ones, and all of them as a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from jobs.context import run_keys
from jobs.scoring.work import Parts
from tornio.errors import InvalidFile
from tornio.files.rows import SEPARATOR
from tornio.schemas.jobs import ScoreOutput
from tornio.schemas.runs import RunPlan
from tornio.schemas.tables import scores_table
from tornio.storage.files import appearing
from tornio.storage.port import ObjectStore

ORDER = [("suspicion", "descending"), ("row", "ascending")]


class Scores:
    """The rows of a finished run, most suspicious first; of equals the earlier row."""

    def __init__(self, plan: RunPlan, output: ScoreOutput, store: ObjectStore) -> None:
        self._parts = Parts(run_keys(plan), store)
        self._output = output

    def table(self, part: int) -> pa.Table:
        """A part's rows in the input's order."""
        key = self._parts.keys.part("scores", part)
        return scores_table(len(self._output.labels)).decode(self._parts.store.get(key).body, key)

    def top(self, count: int) -> list[dict[str, Any]]:
        """The ``count`` most suspicious rows. Holds so many rows and one part at a time."""
        best: pa.Table | None = None
        for part in range(self._output.parts):
            table = self.table(part)
            best = table if best is None else pa.concat_tables([best, table])
            best = best.take(pc.select_k_unstable(best, min(count, len(best)), sort_keys=ORDER))
        rows: list[dict[str, Any]] = [] if best is None else best.sort_by(ORDER).to_pylist()
        return rows

    def write(self, path: Path) -> None:
        """All rows into a .parquet, .csv or .jsonl, which appears only when it is whole. Raises InvalidFile."""
        check_writable(path)
        suffix = path.suffix.lower()
        tables = [self.table(part) for part in range(self._output.parts)]
        rows = pa.concat_tables(tables).sort_by(ORDER)
        with appearing(path) as part:
            if suffix == ".parquet":
                pq.write_table(rows, part, compression="zstd")
            elif suffix == ".csv":
                pa.csv.write_csv(_flat(rows, self._output.labels), part)
            else:
                with part.open("w", encoding="utf-8") as out:
                    out.writelines(_json_lines(rows))


def check_writable(path: Path) -> None:
    """Raises InvalidFile for a path that ``Scores.write`` could not write to: better before a long run than after."""
    if path.suffix.lower() not in (".parquet", ".csv", ".jsonl"):
        raise InvalidFile(f"{path}: the ending {path.suffix!r} says no format: use .parquet, .csv or .jsonl")
    if not path.parent.is_dir():
        raise InvalidFile(f"{path}: there is no folder {path.parent}")


def _flat(rows: pa.Table, labels: tuple[str, ...]) -> pa.Table:
    """Without lists, which CSV has not: labels joined, a column for each probability."""
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
