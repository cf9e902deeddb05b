"""A review: the most suspicious rows of a score run, sent to annotators."""

from __future__ import annotations

from typing import ClassVar

from tornio.schemas.base import Document, Timestamp


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
