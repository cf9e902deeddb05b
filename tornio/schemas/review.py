"""Reviews: the most suspicious rows of a score run, shown to annotators; and the runs that send, fetch and export."""

from __future__ import annotations

from typing import ClassVar

from tornio.schemas.base import Document, Part, Timestamp


class Review(Document):
    """``runs/{run}/review.json``: the rows that were sent. Written only with If-Match, before anything goes to Argilla.

    The answers are events of the task's label log. For a run without a task they are stored beside the review as
    ``labels/{seq}.parquet``, in the same format.
    """

    FORMAT: ClassVar[str] = "review"

    run: str
    workspace: str
    dataset: str
    """Name of the data set in the annotation tool."""
    rows: tuple[int, ...] = ()
    """Positions in the run's input, in the order of the run's ranking at the time of sending. Only grows."""
    created_at: Timestamp


class ReviewSendArgs(Part):
    """Show the most suspicious rows of a score run to annotators. Each request is a run of its own: it acts again."""

    run: str
    """The score run."""
    top: int | None
    loss_quantile: float | None
    name: str | None
    """Name of the data set in the annotation tool. None: it is derived from the run."""
    reviewers: int
    asked_at: Timestamp
    spec_rev: int
    """Read only by controllers of other releases, which fail without it when they measure how large the run is."""


class ReviewSendOutput(Part):
    """The outcome of sending."""

    workspace: str
    dataset: str
    """Name of the data set in the annotation tool."""
    rows: int
    """Number of rows in the data set now."""
    new: int
    """Number of rows that were added."""
    left_out: int
    """Number of rows that belong to the hold-out or are deleted."""
    same_id: int
    """Number of rows with the record id of another text."""
    page: str
    """Address of the annotation page, most suspicious rows first."""


class ReviewSyncArgs(Part):
    """Take up the answers of a review. While nothing changes in the data set, the same request is the same run."""

    run: str
    """The score run."""
    rows: int
    """Number of rows that had been sent."""
    activity: Timestamp
    """When the data set last changed, or, if the annotation tool does not say, when the run was asked for."""
    spec_rev: int
    """Read only by controllers of other releases, which fail without it when they measure how large the run is."""


class ReviewSyncOutput(Part):
    """How far the review is: see ``tornio.scoring.ranking.Precision``."""

    shown: int
    reviewed: int
    changed: int
    discarded: int
    disputed: int
    precision: float | None
    """Share of the reviewed rows whose label was changed. None: no row was reviewed yet."""


class ReviewExportArgs(Part):
    """Write what reviewers made of a score run. While nothing is sent or answered, the same request is the same run."""

    run: str
    """The score run."""
    rows: int
    """Number of rows that had been sent."""
    label_seq: int
    """Last part of the label log. A purge waits for a run that was planned before the deletion. Answers that come while
    the run works may count, too."""
    spec_rev: int
    """Read only by controllers of other releases, which fail without it when they measure how large the run is."""


class ReviewExportOutput(Part):
    """What was written beside the result: ``report.html``, and ``corrected/``, the corrected set in parts."""

    run: str
    """The score run."""
    rows: int
    """Number of rows of the corrected set."""
    labels: tuple[str, ...]
    """Labels of the score run, in its order."""
    multi_label: bool
    model: str
    """The model that scored the rows."""
    suspicion: str
    """What the rows were ranked by."""
    reviewed: ReviewSyncOutput
