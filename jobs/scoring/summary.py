"""What the scores of all parts say together: counts and the report. Reads columns, not texts, of parts in turn."""

from __future__ import annotations

import io
import re
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.context import RunContext
from jobs.scoring.results import Scores
from jobs.scoring.work import Parts, scored_as
from tornio.evaluation.metrics import BoolMatrix
from tornio.schemas.jobs import ScoreArgs, ScoreInput, ScoreOutput
from tornio.schemas.tables import REJECTED, scores_table
from tornio.scoring.measures import given_matrix
from tornio.scoring.ranking import suspicion
from tornio.scoring.report import MOST_ROWS, ScoreReport, Suspect, render

_COLUMNS = ["given", "predicted", "loss", "truncated", "model"]


def summarise(args: ScoreArgs, staged: ScoreInput, parts: Parts, context: RunContext) -> ScoreOutput:
    """The run's output; writes the report on the way."""
    keys = parts.keys
    rows = pa.concat_tables(read_columns(parts, number, _COLUMNS) for number in range(len(staged.parts)))
    given, predicted = (_matrix(rows.column(name), args) for name in ("given", "predicted"))
    output = ScoreOutput(
        scores=keys.folder("scores"),
        rejected=keys.folder("rejected"),
        report=keys.root + "report.html",
        parts=len(staged.parts),
        rows=len(rows),
        rejected_rows=sum(part.rejected for part in staged.parts),
        labels=args.labels,
        agreement=float(np.mean((given == predicted).all(axis=1))),
        mean_loss=float(np.mean(rows.column("loss").to_numpy())),
        truncated=int(np.sum(rows.column("truncated").to_numpy(zero_copy_only=False))),
        ranking="suspicion",
        suspicion=args.ranking,
        model=rows.column("model")[0].as_py(),
    )
    page = ScoreReport(
        data=args.files[0].uri if len(args.files) == 1 else f"{args.files[0].uri} and {len(args.files) - 1} more",
        model=output.model,
        ranking=args.ranking,
        labels=args.labels,
        multi_label=args.multi_label,
        folds=args.folds,
        losses=rows.column("loss").to_numpy(),
        given=given,
        predicted=predicted,
        suspects=[_suspect(row) for row in Scores(context.plan, output, parts.store).top(MOST_ROWS)],
        rejected=_reasons(staged, parts),
        truncated=output.truncated,
    )
    parts.store.put(output.report, render(page).encode())
    return output


def _matrix(column: pa.ChunkedArray, args: ScoreArgs) -> BoolMatrix:
    """bool [n, labels]; a prediction may be of no label where several are allowed."""
    lists, names = column.combine_chunks(), {name: number for number, name in enumerate(args.labels)}
    matrix = np.zeros((len(lists), len(names)), dtype=bool)
    places = [names[name] for name in lists.flatten().to_pylist()]
    matrix[lists.value_parent_indices().to_numpy(), places] = True
    return matrix


def _suspect(row: dict[str, Any]) -> Suspect:
    return Suspect(row["record_id"], row["text"], tuple(row["given"]), tuple(row["predicted"]), row["loss"])


def _reasons(staged: ScoreInput, parts: Parts) -> Counter[str]:
    """How many rows were rejected for each reason; names and numbers in it are left out, so that alike ones meet."""
    found: Counter[str] = Counter()
    for number, part in enumerate(staged.parts):
        if part.rejected:
            table = REJECTED.decode(parts.store.get(parts.keys.part("rejected", number)).body)
            found.update(re.sub(r"'[^']*'|\d[\d,]*", "…", why) for why in table.column("reason").to_pylist())
    return found


def rank_whole(args: ScoreArgs, staged: ScoreInput, parts: Parts) -> None:
    """Give all rows their suspicion together, which a part alone cannot know."""
    numbers = range(len(staged.parts))
    missing = parts.missing("scores", len(staged.parts))
    if not missing:
        return
    name, table = scored_as(args), scores_table(len(args.labels))
    read = [read_columns(parts, number, ["given", "probabilities"], name) for number in numbers]
    rows = pa.concat_tables(read)
    given = given_matrix([tuple(names) for names in rows.column("given").to_pylist()], args.labels, args.multi_label)
    flat = rows.column("probabilities").combine_chunks().flatten().to_numpy()
    found = suspicion(args.ranking, flat.reshape(len(rows), -1), given, args.multi_label)
    starts = np.cumsum([0, *map(len, read)])
    for number in missing:
        part = table.decode(parts.store.get(parts.keys.part(name, number)).body)
        place = part.schema.get_field_index("suspicion")
        column = pa.array(found[starts[number] : starts[number + 1]])
        parts.write("scores", number, table.encode(part.set_column(place, "suspicion", column)))


def read_columns(parts: Parts, number: int, columns: list[str], name: str = "scores") -> pa.Table:
    """These columns of a part's scores."""
    body = parts.store.get(parts.keys.part(name, number)).body
    return pq.read_table(io.BytesIO(body), columns=columns)
