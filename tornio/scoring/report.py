"""The report of a score run: one HTML page without scripts and without external resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tornio import __version__
from tornio.arrays import BoolMatrix, FloatVector
from tornio.evaluation.interval import wilson_interval
from tornio.pages import templates
from tornio.scoring import drawing, figures
from tornio.scoring.ranking import RANKINGS, Precision

MOST_ROWS = 50
MOST_LETTERS = 700
MOST_COLUMNS = 12
"""Most labels of a confusion matrix that can be read. With more labels the page lists the most frequent pairs."""
MOST_PAIRS = 25


@dataclass(frozen=True, slots=True)
class Suspect:
    """One row to look at. ``outcome``: the verdict of reviewers (``review.verdicts.Outcome``), empty before a review;
    ``corrected``: the labels that they gave instead."""

    record_id: str
    text: str
    given: tuple[str, ...]
    predicted: tuple[str, ...]
    loss: float
    outcome: str = ""
    corrected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """The contents of the page."""

    data: str
    """Where the rows are from, as the user named it."""
    model: str
    ranking: str
    labels: tuple[str, ...]
    multi_label: bool
    folds: int
    """0: the rows were scored by a finished model, which may have been trained on them."""
    losses: FloatVector
    """float32 [n], of the judged rows; ``given`` and ``predicted``: bool [n, labels]."""
    given: BoolMatrix
    predicted: BoolMatrix
    suspects: Sequence[Suspect]
    """Most suspicious first; the page shows ``MOST_ROWS``."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Number of rows that could not be scored, by reason."""
    unjudged: Mapping[str, int] = field(default_factory=dict)
    """Number of rows that no model could judge, by label."""
    truncated: int = 0
    reviewed: Precision | None = None


def render(report: ScoreReport, now: datetime | None = None) -> str:
    """Return the page. All texts of the data are escaped, and control characters in them are made visible.

    Raises KeyError for a ranking that does not exist.
    """
    pages = templates(Path(__file__).parent)
    pages.filters |= {"percent": _percent, "thousands": _thousands, "cut": _cut}
    disagree = figures.disagreement(report.given, report.predicted)
    counts = None if report.multi_label else figures.confusion(report.given, report.predicted)
    small = counts is not None and len(report.labels) <= MOST_COLUMNS
    return pages.get_template("report.html.j2").render(
        report=report,
        about=RANKINGS[report.ranking].about,
        rows=len(report.losses),
        disagree=int(disagree.sum()),
        mean_loss=float(np.mean(report.losses)) if len(report.losses) else 0.0,
        median_loss=float(np.median(report.losses)) if len(report.losses) else 0.0,
        histogram=drawing.histogram(figures.loss_histogram(report.losses, disagree)),
        by_label=figures.by_label(report.labels, report.losses, report.given, report.predicted),
        confusion=[] if counts is None or not small else _matrix(report.labels, counts),
        pairs=[] if counts is None else figures.frequent_pairs(report.labels, counts, MOST_PAIRS),
        suspects=report.suspects[:MOST_ROWS],
        rejected=sorted(report.rejected.items(), key=lambda item: -item[1]),
        precision=_precision(report.reviewed),
        now=now or datetime.now(UTC),
        release=__version__,
    )


def _matrix(labels: tuple[str, ...], counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> list[object]:
    """Each label with its row of the confusion, and the sum of the row, at least 1."""
    return [(label, row.tolist(), max(int(row.sum()), 1)) for label, row in zip(labels, counts, strict=True)]


def _precision(reviewed: Precision | None) -> dict[str, object] | None:
    """The share of reviewed rows whose label was wrong, its 95 % interval, and a drawing of both."""
    if reviewed is None or not reviewed.reviewed:
        return None
    share = reviewed.changed / reviewed.reviewed
    low, high = wilson_interval(reviewed.changed, reviewed.reviewed)
    return {"share": share, "low": low, "high": high, "drawing": drawing.interval(share, low, high)}


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _thousands(number: int) -> str:
    return f"{number:,}"


def _cut(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else text[:MOST_LETTERS] + " …"
