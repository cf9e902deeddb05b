"""``loop.json`` and ``lease.json``: the loop's state and who reconciles it. Both move only with If-Match.

The state holds intents: each is written before the outside act that it announces, and leaves the state when
the act's outcome has been seen. Killed between any two lines, the next controller sees the intent and does the
act again; every act has a deterministic id, so it has one effect.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from tornio.schemas.base import Document, Part, Timestamp


class Asks(Part):
    """What users asked of the loop; written by the gateway, read by the controller."""

    paused: bool = False
    train_now: int = 0
    """Counts the requests; the state remembers which were served."""
    hold: str | None = None
    """Why nothing is promoted until a person resumes; set by a rollback."""


class Attempts(Part):
    """How often an intent's run was tried. ``failure`` is the last word of one that is given up."""

    attempt: int = 1
    since: Timestamp | None = None
    """When this attempt was stated."""
    not_before: Timestamp | None = None
    """Back-off after a failure."""
    failure: str | None = None


class OpenBatch(Part):
    """A batch in the annotators' hands, or closed and waiting for the training that takes it up."""

    batch: str
    opened_at: Timestamp
    closed: bool = False


class QueryIntent(Part):
    """Pick the batch ``number``, write it down, send it to the annotators."""

    number: int
    batch: str
    version: str | None
    """Whose predictions pick; none is a cold start."""
    label_seq: int
    pool_seq: int
    spec_rev: int
    attempt: int = 1
    since: Timestamp | None = None


class TrainIntent(Attempts):
    """Train a candidate from a frozen view of the task."""

    iteration: int
    batches: tuple[str, ...]
    label_seq: int
    pool_seq: int
    spec_rev: int
    parent: str | None
    started_at: Timestamp


class GateIntent(Attempts):
    """Judge what was trained, against what serves."""

    train: TrainIntent
    version: str
    rivals: tuple[str, ...]
    """The last promoted versions of the generation, ``current`` not among them."""
    current: str | None
    current_revision: int
    """What the gate saw (0: nothing): a promotion is abandoned if ``current`` has moved since."""


class SwapIntent(Part):
    """Make ``version`` serve: first ``candidate``, then, when replicas are ready, ``current``."""

    version: str
    iteration: int
    current_revision: int
    why: str
    since: Timestamp


AGREEMENT = "kappa-average"
"""The criterion whose signals stand in ``StopProgress.signals``, where release 0.1 reads them."""


class StopProgress(Part):
    """What the stopping criterion remembers: facts. Whether to stop follows from them and from today's spec."""

    signals: tuple[float, ...] = ()
    """Agreements (Cohen's kappa) on the stop set of consecutive versions with new labels between them, oldest first.
    They are measured whatever the criterion."""
    others: dict[str, tuple[float, ...]] = Field(default={}, exclude_if=lambda signals: not signals)
    """Signals of other criteria by the criterion's name, oldest first. An earlier release drops them: then they are
    measured again, and the loop stops later."""
    last_version: str | None = None
    """The version that the next agreement is measured against."""
    last_label_seq: int = 0
    """Where the label log stood when that version was trained: without newer labels agreement says nothing."""

    def of(self, criterion: str) -> tuple[float, ...]:
        """The signals of this criterion, oldest first."""
        return self.signals if criterion == AGREEMENT else self.others.get(criterion, ())


class LoopState(Document):
    """The loop's whole memory; small."""

    FORMAT: ClassVar[str] = "loop"

    generation: int = Field(default=1, ge=1)
    iteration: int = 0
    """The last iteration that was started."""
    batch_number: int = 0
    """The last batch that was asked for."""
    asks: Asks = Asks()
    served_train_now: int = 0
    batches: tuple[OpenBatch, ...] = ()
    query: QueryIntent | None = None
    train: TrainIntent | None = None
    gate: GateIntent | None = None
    swap: SwapIntent | None = None
    newest: str | None = None
    """The newest trained version whose integrity held: it picks the next batch, promoted or not."""
    promoted: tuple[str, ...] = ()
    """The last versions of this generation that have served, oldest first."""
    refusals: int = 0
    """Refusals in a row."""
    stop: StopProgress = StopProgress()
    untrained: tuple[str, ...] = ()
    """Batches that closed while there was nothing to train on; the next training takes them up."""
    trained_label_seq: int = 0
    trained_pool_seq: int = 0
    """Where labels and pool stood at the last training that was stated: anything later wakes the task."""
    exhausted_pool_seq: int = 0
    """Where the pool stood when a query found nothing left to ask."""
    query_failures: int = 0
    """Of the next batch's query, in a row; its attempts count on from there."""
    query_not_before: Timestamp | None = None
    attention: dict[str, str] = {}
    """What a person should look at, by cause (query, train, gate, swap, refusals, labels); the loop goes on with what
    it can, and takes back what is over."""


class Lease(Document):
    """Who reconciles. It only saves work: what makes two controllers harmless is that no act has two effects."""

    FORMAT: ClassVar[str] = "lease"

    holder: str
    epoch: int
    """Counts the holders."""
    beat: int
    """Counts the renewals, so that the ETag moves while the holder lives."""
