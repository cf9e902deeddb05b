"""The corrected set: all rows of a run, with the reviewers' labels where they reviewed a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import pyarrow as pa

from tornio.records import text_digest
from tornio.review.sync import run_precision, run_verdicts
from tornio.review.verdicts import Outcome, Verdict
from tornio.scoring.ranking import Precision
from tornio.scoring.scored_run import ScoredRun


@dataclass(frozen=True, slots=True)
class CorrectedSet:
    """The corrected set of a run, and what its card says about it.

    ``model``: the one that scored the rows. ``suspicion``: what they are ranked by. ``tables``: see ``corrected``.
    """

    run: str
    model: str
    suspicion: str
    labels: tuple[str, ...]
    multi_label: bool
    so_far: Precision
    tables: Callable[[], Iterator[pa.Table]]

    @classmethod
    def of(cls, run: ScoredRun) -> Self:
        return cls(
            run=run.run,
            model=run.output.model,
            suspicion=run.output.suspicion,
            labels=run.labels,
            multi_label=run.multi_label,
            so_far=run_precision(run),
            tables=lambda: corrected(run),
        )


def schema(multi_label: bool) -> pa.Schema:
    """Return the columns of a corrected set; with ``multi_label`` its labels are lists."""
    label = pa.list_(pa.string()) if multi_label else pa.string()
    return pa.schema(
        [
            pa.field("row", pa.int64()),
            pa.field("record_id", pa.string()),
            pa.field("text", pa.string()),
            pa.field("original_label", label),
            pa.field("corrected_label", label),
            pa.field("review", pa.string()),
            pa.field("who", pa.list_(pa.string())),
            pa.field("when", pa.timestamp("us", tz="UTC")),
        ]
    )


def corrected(run: ScoredRun) -> Iterator[pa.Table]:
    """Yield the run's rows in the input's order, part by part, with the columns of ``schema``.

    Texts that were deleted in the task are left out. ``corrected_label``: the reviewers' labels for the text, which
    apply to every row with it; equal to ``original_label`` if nobody reviewed the text, or if the reviewers discarded
    it or disagree. ``review``: an ``Outcome``. ``who``: user ids of the annotation tool; ``when``: the latest answer,
    by its clock.
    """
    decided, deleted = run_verdicts(run), run.deleted
    for table in run.tables():
        rows = table.select(["row", "record_id", "text", "given"]).to_pylist()
        # Computing digests costs more than everything else here, and most runs need none.
        digests = [text_digest(row["text"]) if decided or deleted else "" for row in rows]
        kept = [
            _corrected(row, decided.get(digest), run.multi_label)
            for row, digest in zip(rows, digests, strict=True)
            if digest not in deleted
        ]
        yield pa.Table.from_pylist(kept, schema=schema(run.multi_label))


def _corrected(row: dict[str, Any], verdict: Verdict | None, multi_label: bool) -> dict[str, Any]:
    given = row.pop("given")
    outcome = Outcome.UNREVIEWED if verdict is None else verdict.outcome(given)
    right = list(verdict.labels or ()) if verdict is not None and outcome is Outcome.CHANGED else given
    return {
        **row,
        "original_label": given if multi_label else given[0],
        "corrected_label": right if multi_label else right[0],
        "review": outcome.value,
        "who": [] if verdict is None else list(verdict.who),
        "when": None if verdict is None else verdict.when,
    }
