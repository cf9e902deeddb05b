"""The report of a finished score run, with the verdicts of reviewers so far."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice

import pyarrow as pa

from tornio.review.sync import run_precision, run_verdicts
from tornio.review.verdicts import Outcome, Verdict
from tornio.schemas.scoring import ScoreArgs
from tornio.schemas.tables import REJECTED
from tornio.scoring import figures
from tornio.scoring.measures import label_matrix
from tornio.scoring.report import MOST_ROWS, ScoreReport, Suspect, render
from tornio.scoring.scored_run import ScoredRow, ScoredRun
from tornio.scoring.top import write_top


def run_report(run: ScoredRun) -> str:
    """Return one HTML page: see ``scoring.report``. It holds a few numbers per row, and one part at a time."""
    args = ScoreArgs.model_validate(run.plan.args)
    columns = pa.concat_tables(run.tables("given", "predicted"))
    given, predicted = (label_matrix(columns.column(name), run.labels) for name in ("given", "predicted"))
    unjudged = run.ranked.unjudged
    files = args.files
    judged = (row for row in run.showable() if not row.unjudged)
    verdicts = run_verdicts(run)
    reviewed = run_precision(run, verdicts)
    return render(
        ScoreReport(
            data=files[0].uri if len(files) == 1 else f"{files[0].uri} and {len(files) - 1} more",
            model=run.output.model,
            ranking=args.ranking,
            labels=run.labels,
            multi_label=run.multi_label,
            folds=args.folds,
            losses=run.ranked.loss[~unjudged].astype("float32"),
            given=given[~unjudged],
            predicted=predicted[~unjudged],
            unjudged=figures.only_in(run.labels, given, unjudged),
            suspects=[_suspect(row, verdicts.get(row.digest)) for row in islice(judged, MOST_ROWS)],
            rejected=_reasons(run),
            truncated=run.output.truncated,
            reviewed=reviewed if reviewed.shown else None,
        )
    )


def write_shown(run: ScoredRun) -> None:
    """Write what is shown of a run: the report, and its top rows."""
    run.store.put(run.output.report, run_report(run).encode())
    write_top(run)


def _suspect(row: ScoredRow, verdict: Verdict | None) -> Suspect:
    outcome = None if verdict is None else verdict.outcome(row.given)
    right = verdict.labels if verdict is not None and outcome is Outcome.CHANGED else None
    return Suspect(row.record_id, row.text, row.given, row.predicted, row.loss, outcome or "", right or ())


def _reasons(run: ScoredRun) -> Counter[str]:
    """Number of rejected rows per reason. Names and numbers are replaced, so that similar reasons count together."""
    reasons: Counter[str] = Counter()
    for info in run.store.list(run.output.rejected) if run.output.rejected_rows else ():
        given = REJECTED.decode(run.store.get(info.key).body, info.key).column("reason").to_pylist()
        reasons.update(re.sub(r"'[^']*'|\d[\d,]*", "…", reason) for reason in given)
    return reasons
