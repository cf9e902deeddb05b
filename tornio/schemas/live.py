"""What was counted of live texts, and of the hold-out, to compare them: numbers, never texts."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from tornio.schemas.base import Document, Part, Timestamp


class TextCounts(Part):
    """Counts of texts that one version answered. They add up over batches, replicas and windows."""

    texts: int = Field(ge=0)
    labels: dict[str, int]
    """How often each label was given. A text with several labels counts for each."""
    unlabelled: int = Field(default=0, ge=0)
    """Texts that got no label, in tasks that allow several."""
    confidence: tuple[int, ...]
    """Texts by the probability that all their labels are right, in equal bins of [0, 1]."""
    confidence_sum: float
    confidence_squares: float
    """Sum of the squares of these probabilities."""
    lengths: tuple[int, ...]
    """Texts by length: bin i has those of 2^(i-1) to 2^i - 1 characters, the last one all longer ones."""
    truncated: int = Field(ge=0)
    """Texts of which the model read only the beginning."""
    read: int = Field(ge=0)
    """Texts whose tokens were counted."""
    unknown: int = Field(ge=0)
    """Those of them with a token that the model does not know."""
    tokens: int = Field(ge=0)


class LiveReference(Part):
    """What live texts are compared with: the same counts of the hold-out, and how right the version is there."""

    counts: TextCounts
    labels: tuple[str, ...]
    """Those of the version, in its order."""
    right: int = Field(ge=0)
    """Hold-out texts of which every label is right."""
    gap_squares: float
    """Sum over the texts of (1 if right, else 0, minus the probability) squared."""
    confusion: tuple[tuple[int, ...], ...] | None = None
    """Rows: true labels, columns: predicted ones, in the order of ``labels``. None with several labels."""


class LiveWindow(Document):
    """``live/{start}-{seconds}/{replica}.json``: what one replica answered in a window. It alone writes the document,
    as a whole, about each minute while there are new texts. Windows are deleted after some days."""

    FORMAT: ClassVar[str] = "live-window"

    start: Timestamp
    seconds: int = Field(ge=1)
    replica: str
    versions: dict[str, TextCounts]
    """By the version that answered."""
