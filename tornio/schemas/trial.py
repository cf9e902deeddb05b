"""The trial of a version on live traffic, before it is promoted: its terms, what was counted, and how it ended."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field

from tornio.schemas.base import Document, Part, Timestamp


class TrialTerms(Part):
    """How replicas try ``candidate``. They do so only while ``current`` is at ``revision``."""

    share: float = Field(ge=0, le=0.5)
    """Share of the requests that the candidate answers; 0: it answers none."""
    shadow: bool = False
    """Whether it also predicts, unseen, what ``current`` answers."""
    revision: int
    """Revision of ``current`` that it is compared with."""
    started_at: Timestamp
    """When the trial began; with the version, it names the trial."""


class TrialCounts(Part):
    """What was counted in a trial, by one replica or by all: sums, so that they can be added.

    A text is compared when both versions have predicted it; a comparison is of all texts of one batch.
    """

    answered: int = 0
    """Texts that the candidate answered for users."""
    texts: int = 0
    """Texts that were compared."""
    agreed: int = 0
    """Compared texts to which both versions give the same label, or the same labels."""
    dropped: int = 0
    """Texts that were not compared, because the replica was busy."""
    confident: int = 0
    """Compared texts with a confidence, the probability of the label that is predicted: none of tasks with several
    labels per text."""
    confidence: float = 0.0
    """Sum of the candidate's confidences."""
    current_confidence: float = 0.0
    squares: float = 0.0
    """Sum of the squared differences of the two confidences of a text."""
    comparisons: int = 0
    """Batches that were compared."""
    slower: int = 0
    """Comparisons in which the candidate took more than twice the time of ``current``."""
    seconds: float = 0.0
    """Time that the candidate took for the compared texts."""
    current_seconds: float = 0.0
    calls: int = 0
    """Batches that the candidate was to predict, for users or for a comparison."""
    errors: int = 0
    """Those that it could not. ``current`` answered users instead."""
    current_calls: int = 0
    """The same of ``current``, where it was compared with the candidate."""
    current_errors: int = 0
    broken: str = ""
    """What the candidate gave that no sound version gives, such as a probability that is no number."""

    def __add__(self, other: Self) -> Self:
        counted = [name for name in type(self).model_fields if name != "broken"]
        sums = {name: getattr(self, name) + getattr(other, name) for name in counted}
        return type(self)(**sums, broken=self.broken or other.broken)


class TrialReport(Part):
    """What one replica has counted since it started, of the trial that the version and the start name."""

    version: str
    started_at: Timestamp
    counts: TrialCounts


class AgainstCurrent(Part):
    """How a version compares with ``current`` on the hold-out texts: what a trial may expect. Only where both have the
    same label set."""

    version: str
    """The version that was ``current``."""
    texts: int
    agreed: int
    """Texts to which both give the same label or labels."""
    correction: float | None = None
    """Mean over the texts of (candidate right - its confidence) - (current right - its confidence): what to add to a
    difference of confidences for a difference of accuracies. None without texts, or with several labels per text."""
    variance: float = 0.0
    """Of that mean."""


class TrialVerdict(Part):
    """How a trial ended, and why."""

    promoted: bool
    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class Trial(Part):
    """The trial of the version that is being deployed. Its clock is in the terms, so it survives every controller.

    An earlier release does not know trials, and promotes the version.
    """

    current: str
    """The version that it is compared with."""
    terms: TrialTerms
    verdict: TrialVerdict | None = None
    counts: TrialCounts | None = None
    """What the verdict is based on."""
    ended_at: Timestamp | None = None


class TrialRecord(Document):
    """``trials/{version}.json``: how a version did on live traffic, and what followed. Written once (put if absent)."""

    FORMAT: ClassVar[str] = "trial"

    version: str
    trial: Trial
