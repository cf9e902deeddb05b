"""What a ``review-export`` run writes of a review, and how the user's machine reads it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tornio.errors import InvalidInput
from tornio.review.corrected import CorrectedSet, schema
from tornio.review.report import run_report
from tornio.review.sync import progress
from tornio.review.write import write_parquet, writer_for
from tornio.schemas.keys import RunKeys
from tornio.schemas.review import ReviewExportOutput
from tornio.schemas.runs import RunPlan
from tornio.scoring.ranking import Precision
from tornio.scoring.scored_run import ScoredRun
from tornio.storage.port import ObjectStore

CORRECTED = "corrected"
"""Folder of the corrected set, in parts. A purge looks for texts in it: see ``tornio.pool.purging``."""
REPORT = "report.html"


def export(run: ScoredRun, keys: RunKeys, step: Callable[[int], None]) -> ReviewExportOutput:
    """Write corrected set and report of a score run below the keys of another run. Another attempt writes them again.

    ``step``: is told how many rows are written. One part is held in memory at a time.
    """
    # A purge finds a text by the corrected set. So a report never has a text that the corrected set lacks.
    run.store.delete([keys.root + REPORT])
    made, rows = CorrectedSet.of(run), 0
    for number, table in enumerate(made.tables()):
        run.store.put(keys.part(CORRECTED, number), _parquet(table))
        rows += len(table)
        step(rows)
    run.store.put(keys.root + REPORT, run_report(run).encode())
    return ReviewExportOutput(
        run=made.run,
        rows=rows,
        labels=made.labels,
        multi_label=made.multi_label,
        model=made.model,
        suspicion=made.suspicion,
        reviewed=progress(made.so_far),
    )


def forget(plan: RunPlan, store: ObjectStore) -> None:
    """Delete report and corrected set, because they hold a text that is purged. What tells of the text goes last."""
    keys = plan.run_keys
    store.delete([keys.root + REPORT])
    store.delete([info.key for info in store.list(keys.folder(CORRECTED))])


def fetched(output: dict[str, Any], store: ObjectStore, folder: str = f"{CORRECTED}/") -> CorrectedSet:
    """Return the corrected set of a run with this output, whose parts were fetched into a folder of this store.

    Raises InvalidInput if rows are missing: a purge deletes the parts one by one.
    """
    said = ReviewExportOutput.model_validate(output)
    if (rows := sum(len(table) for table in _tables(store, folder))) != said.rows:
        raise InvalidInput(
            f"{said.rows - rows:,} of the {said.rows:,} rows are missing, because a purge has deleted what held a "
            "deleted text. Ask for the export again."
        )
    return CorrectedSet(
        run=said.run,
        model=said.model,
        suspicion=said.suspicion,
        labels=said.labels,
        multi_label=said.multi_label,
        so_far=Precision(**said.reviewed.model_dump(exclude={"precision"})),
        tables=lambda: _tables(store, folder),
    )


def write_fetched(plan: RunPlan, output: dict[str, Any], store: ObjectStore, path: Path, escape: bool) -> None:
    """Write the corrected set of a run whose parts were fetched into this store. Raises InvalidFile."""
    made = fetched(output, store, plan.run_keys.folder(CORRECTED))
    writer_for(path, escape=escape)(made.tables(), schema(made.multi_label))


def _tables(store: ObjectStore, folder: str) -> Iterator[pa.Table]:
    for info in store.list(folder):
        yield pq.ParquetFile(pa.BufferReader(store.get(info.key).body)).read(use_threads=False)


def _parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    write_parquet([table], table.schema, out)
    return out.getvalue()
