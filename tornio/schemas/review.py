"""A review: the most suspicious rows of a score run, shown to annotators."""

from __future__ import annotations

from typing import ClassVar

from tornio.schemas.base import Document, Timestamp


class Review(Document):
    """``runs/{run}/review.json``: what was sent; moved only with If-Match, before anything goes to Argilla.

    The answers are events of the task's label log; of a run without a task they are ``labels/{seq}.parquet`` beside
    it, in the same format.
    """

    FORMAT: ClassVar[str] = "review"

    run: str
    workspace: str
    dataset: str
    """In the annotation tool."""
    rows: tuple[int, ...] = ()
    """Places in the run's input, in the order of the run's ranking when they were sent; only grows."""
    created_at: Timestamp
