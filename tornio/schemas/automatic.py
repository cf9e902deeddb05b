"""Automatic labels: what the job decides about a version's labels, and the record of what was written."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from tornio.schemas.base import Document, Part, Timestamp


class AutoLabelArgs(Part):
    """Decide which records of the pool a version labels, by the hold-out labels of annotators."""

    version: str
    label_seq: int
    pool_seq: int
    spec_rev: int
    thresholds: dict[str, float] = {}
    """By predicted label, those by which the version labels already; empty if it does not. They never become lower."""
    recheck: bool = False
    """Only test ``thresholds`` again, because neither they nor the spec's settings were changed."""


class AutoMeasure(Part):
    """What the hold-out says about the labels above a threshold."""

    label: str | None = None
    """The predicted label; None: all labels together."""
    threshold: float | None = None
    """None: no threshold passes, so that nothing is labelled."""
    coverage: float = 0.0
    """Share of the unlabelled texts for which the label is predicted with at least this probability."""
    judged: int = 0
    """Hold-out texts with such a prediction."""
    wrong: int = 0
    """How many of these predictions are wrong."""
    low: float | None = None
    """Lower end of the interval of the share of wrong labels; None for a tested threshold, which has only a bound."""
    bound: float | None = None
    """Upper end of the interval, or the upper confidence bound. None without a threshold."""


class Outlook(Part):
    """What more hold-out labels would probably allow: the share of the unlabelled texts that get a label."""

    holdout: int
    coverage: float


class AutoLabelOutput(Part):
    version: str
    label_set_rev: int
    thresholds: dict[str, float]
    """Least probability of each predicted label; without one, a text with this prediction gets no label."""
    lost: tuple[str, ...] = ()
    """Predicted labels whose threshold passed before, and does not pass with the present hold-out labels."""
    target_error: float | None
    """None: the threshold is the spec's, and was not tested."""
    confidence: float
    measures: tuple[AutoMeasure, ...]
    outlook: tuple[Outlook, ...] = ()
    holdout: int
    """Hold-out labels of annotators that judged."""
    unlabelled: int
    """Texts that people, imports or models outside have not labelled, without the hold-out."""
    allowed: int
    """Those of them that may be labelled."""
    labelled: int
    """Those of them that are labelled: at most ``auto_label.limit``."""
    labels: str
    """Parquet file, auto-labels: a row for each of them."""


class AutoLabelRecord(Document):
    """``automatic/{run}.json``: put if absent, after the labels of the run were written to the label log."""

    FORMAT: ClassVar[str] = "automatic-labels"

    run: str
    label_seq: int = Field(ge=0)
    """The log when all of them were in it."""
    output: AutoLabelOutput
    written_at: Timestamp
