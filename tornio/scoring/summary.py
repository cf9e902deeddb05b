"""Rank and count over the scores of all parts. It reads columns without texts, one part after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from tornio.schemas.scoring import ScoreArgs, ScoreInput, ScoreOutput
from tornio.schemas.tables import scores_table
from tornio.scoring.figures import only_in
from tornio.scoring.measures import label_matrix
from tornio.scoring.parts import Parts, scored_as
from tornio.scoring.ranking import UNJUDGED, suspicion
from tornio.scoring.scored_run import unjudged_rows

_COLUMNS = ("given", "predicted", "loss", "truncated", "model", "unjudged")


def summarise(args: ScoreArgs, staged: ScoreInput, parts: Parts) -> ScoreOutput:
    """Return the output of the run. The caller writes the report that it names."""
    keys = parts.keys
    rows = pa.concat_tables(_columns(args, parts, number, _COLUMNS) for number in range(len(staged.parts)))
    given, predicted = (label_matrix(rows.column(name), args.labels) for name in ("given", "predicted"))
    judged = ~unjudged_rows(rows)
    return ScoreOutput(
        scores=keys.folder("scores"),
        rejected=keys.folder("rejected"),
        report=keys.root + "report.html",
        parts=len(staged.parts),
        rows=len(rows),
        rejected_rows=sum(part.rejected for part in staged.parts),
        first_rejected=staged.first_rejected,
        contradictions=staged.contradictions,
        labels=args.labels,
        agreement=float(np.mean((given == predicted).all(axis=1)[judged])) if judged.any() else 0.0,
        mean_loss=float(np.mean(rows.column("loss").to_numpy()[judged])) if judged.any() else 0.0,
        unjudged=int((~judged).sum()),
        unjudged_labels=tuple(only_in(args.labels, given, ~judged)),
        truncated=int(np.sum(rows.column("truncated").to_numpy(zero_copy_only=False))),
        ranking="suspicion",
        suspicion=args.ranking,
        model=rows.column("model")[0].as_py(),
    )


def rank_whole(args: ScoreArgs, staged: ScoreInput, parts: Parts) -> None:
    """Rank all rows together, for a ranking that cannot rank a part on its own."""
    numbers = range(len(staged.parts))
    missing = parts.missing("scores", len(staged.parts))
    if not missing:
        return
    name, table = scored_as(args), scores_table(len(args.labels))
    read = [_columns(args, parts, number, ("given", "probabilities", "unjudged"), name) for number in numbers]
    rows = pa.concat_tables(read)
    given = label_matrix(rows.column("given"), args.labels)
    flat = rows.column("probabilities").combine_chunks().flatten().to_numpy()
    judged, p = ~unjudged_rows(rows), flat.reshape(len(rows), -1)
    ranked = np.full(len(rows), UNJUDGED, dtype=np.float32)
    ranked[judged] = suspicion(args.ranking, p[judged], given[judged], args.multi_label)
    starts = np.cumsum([0, *map(len, read)])
    for number in missing:
        part = table.decode(parts.store.get(parts.keys.part(name, number)).body)
        place = part.schema.get_field_index("suspicion")
        column = pa.array(ranked[starts[number] : starts[number + 1]])
        parts.write("scores", number, table.encode(part.set_column(place, "suspicion", column)))


def _columns(args: ScoreArgs, parts: Parts, number: int, columns: Sequence[str], name: str = "scores") -> pa.Table:
    key = parts.keys.part(name, number)
    return scores_table(len(args.labels)).decode(parts.store.get(key).body, key, columns)
