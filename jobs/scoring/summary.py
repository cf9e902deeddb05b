"""What the scores of all parts say together: counts and the report. Reads columns, not texts, of parts in turn."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.context import RunContext
from jobs.scoring.work import Parts
from tornio.schemas.jobs import ScoreArgs, ScoreInput, ScoreOutput

_COLUMNS = ["given", "predicted", "loss", "truncated", "model"]


def summarise(args: ScoreArgs, staged: ScoreInput, parts: Parts, context: RunContext) -> ScoreOutput:
    """The run's output; writes the report on the way."""
    keys = parts.keys
    rows = pa.concat_tables(read_columns(parts, number, _COLUMNS) for number in range(len(staged.parts)))
    agreement = [set(a) == set(b) for a, b in zip(*(rows.column(c).to_pylist() for c in _COLUMNS[:2]), strict=True)]
    return ScoreOutput(
        scores=keys.folder("scores"),
        rejected=keys.folder("rejected"),
        report=keys.root + "report.html",
        parts=len(staged.parts),
        rows=len(rows),
        rejected_rows=sum(part.rejected for part in staged.parts),
        labels=args.labels,
        agreement=float(np.mean(agreement)),
        mean_loss=float(np.mean(rows.column("loss").to_numpy())),
        truncated=int(np.sum(rows.column("truncated").to_numpy(zero_copy_only=False))),
        ranking="suspicion" if args.folds else "loss",
        model=rows.column("model")[0].as_py(),
    )


def read_columns(parts: Parts, number: int, columns: list[str]) -> pa.Table:
    """These columns of a part's scores."""
    body = parts.store.get(parts.keys.part("scores", number)).body
    return pq.read_table(io.BytesIO(body), columns=columns)
