"""The report of a finished score run, with what reviewers have said so far."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice

import pyarrow as pa

from tornio.review.showable import showable
from tornio.review.sync import run_precision, run_verdicts
from tornio.review.verdicts import Outcome, Verdict
from tornio.schemas.jobs import ScoreArgs
from tornio.schemas.tables import REJECTED
from tornio.scoring.measures import label_matrix
from tornio.scoring.report import MOST_ROWS, ScoreReport, Suspect, render
from tornio.scoring.scored_run import ScoredRow, ScoredRun


def run_report(run: ScoredRun) -> str:
    """One HTML page: see ``scoring.report``. Holds a few numbers of each row, and one part at a time."""
    args = ScoreArgs.model_validate(run.plan.args)
    columns = pa.concat_tables(run.tables("given", "predicted"))
    files = args.files
    found = run_verdicts(run)
    reviewed = run_precision(run, found)
    return render(
        ScoreReport(
            data=files[0].uri if len(files) == 1 else f"{files[0].uri} and {len(files) - 1} more",
            model=run.output.model,
            ranking=args.ranking,
            labels=run.labels,
            multi_label=run.multi_label,
            folds=args.folds,
            losses=run.ranked.loss.astype("float32"),
            given=label_matrix(columns.column("given"), run.labels),
            predicted=label_matrix(columns.column("predicted"), run.labels),
            suspects=[_suspect(row, found.get(row.digest)) for row in islice(showable(run), MOST_ROWS)],
            rejected=_reasons(run),
            truncated=run.output.truncated,
            reviewed=reviewed if reviewed.shown else None,
        )
    )


def _suspect(row: ScoredRow, verdict: Verdict | None) -> Suspect:
    outcome = None if verdict is None else verdict.outcome(row.given)
    right = verdict.labels if verdict is not None and outcome is Outcome.CHANGED else None
    return Suspect(row.record_id, row.text, row.given, row.predicted, row.loss, outcome or "", right or ())


def _reasons(run: ScoredRun) -> Counter[str]:
    """How many rows were rejected for each reason; names and numbers in it are left out, so that alike ones meet."""
    found: Counter[str] = Counter()
    for info in run.store.list(run.output.rejected) if run.output.rejected_rows else ():
        told = REJECTED.decode(run.store.get(info.key).body, info.key).column("reason").to_pylist()
        found.update(re.sub(r"'[^']*'|\d[\d,]*", "…", why) for why in told)
    return found
