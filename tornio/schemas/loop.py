"""``loop.json`` and ``lease.json``: the state of the loop, and who reconciles it. Both are written only with If-Match.

The state holds intents. An intent is written before the outside act that it announces, and is removed once the
act's outcome has been seen. If a controller is killed between any two lines, the next one sees the intent and repeats
the act. Every act has a deterministic id, so it takes effect only once.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from tornio.schemas.base import Document, Part, Timestamp
from tornio.schemas.trial import AgainstCurrent, Trial


class ImportAsk(Part):
    """A model from outside that a user wants judged, and served if it passes. ``upload``: its tar, by the upload's
    name."""

    upload: str
    size: int
    """In bytes."""
    generation: int
    """The task's generation when it was sent. If the labels change before its turn, it is not taken."""
    who: str
    """Name of the API key."""
    why: str = ""


class PromoteAsk(Part):
    """A version that a user wants to serve. It was checked when it was asked for; what may change since is checked
    again."""

    version: str
    iteration: int
    generation: int
    """The task's generation when it was asked for. If the labels change before its turn, it does not serve."""
    who: str
    """Name of the API key."""
    why: str = ""


class Asks(Part):
    """Requests of users to the loop; written by the gateway, read by the controller."""

    paused: bool = False
    train_now: int = 0
    """Number of train-now requests so far; the state counts how many were served."""
    forced: int = Field(default=0, exclude_if=lambda number: not number)
    """The number of the last train-now request that trains even without new labels; 0 means that there was none."""
    imports: tuple[ImportAsk, ...] = Field(default=(), exclude_if=lambda imports: not imports)
    """Models whose turn is still to come, in the order in which they were sent. The controller takes the first one out
    with the write that states its intent."""
    promote: PromoteAsk | None = Field(default=None, exclude_if=lambda ask: ask is None)
    """The version that a user chose last. The controller takes it out with the write that states its intent. An earlier
    release drops it, and the hold stays."""
    hold: str | None = None
    """Why no version is promoted until a user resumes, but one that a user chooses; set by a rollback and by a choice.
    None means no hold."""


class Attempts(Part):
    """How often the run of an intent was tried. ``failure`` is the last error of a run that was given up."""

    attempt: int = 1
    since: Timestamp | None = None
    """When this attempt was written down."""
    not_before: Timestamp | None = None
    """Start of the next attempt at the earliest; the back-off after a failure."""
    failure: str | None = None


class OpenBatch(Part):
    """A batch that annotators are working on, or one that is closed and waits for the training that includes it."""

    batch: str
    opened_at: Timestamp
    closed: bool = False


class QueryIntent(Part):
    """Pick batch ``number``, store it, and send it to the annotators."""

    number: int
    batch: str
    version: str | None
    """The version whose predictions pick the batch; None means a cold start."""
    label_seq: int
    pool_seq: int
    spec_rev: int
    moved_from: str = Field(default="", exclude_if=lambda batch: not batch)
    """The open batch of the generation before whose unanswered records this batch asks under the new labels."""
    attempt: int = 1
    since: Timestamp | None = None


class TrainIntent(Attempts):
    """Train a candidate from a frozen view of the task, or take one in that was trained elsewhere."""

    iteration: int
    batches: tuple[str, ...]
    label_seq: int
    pool_seq: int
    spec_rev: int
    parent: str | None
    given_seq: int = Field(default=0, exclude_if=lambda seq: not seq)
    """The last part of the log up to there with anything but automatic labels; 0: the last part of all."""
    automatic: tuple[str, ...] = Field(default=(), exclude_if=lambda versions: not versions)
    """The versions whose automatic labels it trains on."""
    method: str = Field(default="", exclude_if=lambda method: not method)
    """The training method, if it is not the spec's: the one that lets the teacher teach version 0."""
    imported: ImportAsk | None = Field(default=None, exclude_if=lambda ask: ask is None)
    """The model that is taken in instead of a training. An earlier release trains instead."""
    started_at: Timestamp


class GateIntent(Attempts):
    """Evaluate the trained version against the served one."""

    train: TrainIntent
    version: str
    rivals: tuple[str, ...]
    """The last promoted versions of the generation, without ``current``."""
    current: str | None
    current_revision: int
    """The revision that the gate saw (0: none). The promotion is abandoned if ``current`` has moved since."""


class SwapIntent(Part):
    """Deploy ``version``: move ``candidate`` first, then ``current`` when the replicas are ready, and after a trial on
    live traffic if the spec wants one."""

    version: str
    iteration: int
    current_revision: int
    why: str
    since: Timestamp
    against: AgainstCurrent | None = Field(default=None, exclude_if=lambda against: against is None)
    """How it compares with ``current`` on the hold-out. None: they have different labels, or ``current`` is another one
    by now."""
    trial: Trial | None = Field(default=None, exclude_if=lambda trial: trial is None)
    chosen_by: str = Field(default="", exclude_if=lambda who: not who)
    """The user who chose the version: no hold and no trial keeps it from serving. An earlier release waits for both."""


class AutoIntent(Attempts):
    """Let ``version`` label the pool, or test again what it has labelled. The last one that ended is kept: what it saw
    decides when to look again."""

    version: str
    label_seq: int
    pool_seq: int
    spec_rev: int
    thresholds: dict[str, float] = {}
    """Those by which the version labels already, by predicted label."""
    recheck: bool = False
    """Only test them again."""
    settings: dict[str, Any]
    """The spec's section ``auto_label``."""
    holdout: int
    """Hold-out labels of annotators."""
    pool: int
    """Records."""


class Withdrawal(Part):
    """Why labels of a version were withdrawn. Whatever was trained on its labels up to ``label_seq`` had them."""

    why: str
    label_seq: int


class LearnedFrom(Part):
    """The versions on whose automatic labels a version was trained, as they stood at ``label_seq``."""

    automatic: tuple[str, ...]
    label_seq: int


class AutoLabelling(Part):
    """How far automatic labels are. They are those of one version at a time."""

    intent: AutoIntent | None = None
    done: AutoIntent | None = None
    """The last intent that ended; ``failure`` if it was given up."""
    run: str | None = None
    """The run whose labels were written last."""
    thresholds: dict[str, float] = {}
    """By predicted label, those by which the version of ``done`` labels; empty: none of its labels stands."""
    withdrawn: dict[str, Withdrawal] = {}
    """The versions of which labels were withdrawn: not because the labels of another version took their place."""
    learned: dict[str, LearnedFrom] = {}
    """What the last versions were trained on, by version."""
    retrain: bool = False
    """Labels were withdrawn that the newest versions were trained on, so the next training waits for no batch."""


AGREEMENT = "kappa-average"
"""The criterion whose signals are stored in ``StopProgress.signals``, where release 0.1 reads them."""


class HoldoutLook(Part):
    """The judgement of a version on the hold-out, for a criterion that asks for an accuracy."""

    iteration: int = Field(ge=1)
    right: int
    """How many of the held-out texts got exactly the right label or labels."""
    labels: int
    """How many held-out texts judged."""


class StopProgress(Part):
    """The measurements of the stopping criterion. Whether to stop follows from them and from the present spec."""

    signals: tuple[float, ...] = ()
    """Agreements (Cohen's kappa) on the stop set of consecutive versions with new labels between them, oldest first.
    They are measured whatever the criterion."""
    others: dict[str, tuple[float, ...]] = Field(default={}, exclude_if=lambda signals: not signals)
    """Signals of other criteria, by the criterion's name, oldest first. An earlier release drops them; then they are
    measured again, and the loop stops later."""
    last_version: str | None = None
    """The version with which the next agreement is measured."""
    last_label_seq: int = 0
    """Label sequence number that this version was trained on. Without newer labels, agreement has no meaning."""
    holdout: HoldoutLook | None = Field(default=None, exclude_if=lambda look: look is None)
    """The last version that passed the gate, judged on the hold-out. None until there is one, and in earlier releases:
    then no criterion stops because of it."""

    def of(self, criterion: str) -> tuple[float, ...]:
        """Return the signals of this criterion, oldest first."""
        return self.by_criterion.get(criterion, ())

    @property
    def by_criterion(self) -> dict[str, tuple[float, ...]]:
        """All signals, by the criterion's name."""
        return {**self.others, AGREEMENT: self.signals}


class LoopState(Document):
    """The complete state of the loop; a small document."""

    FORMAT: ClassVar[str] = "loop"

    generation: int = Field(default=1, ge=1)
    moving: tuple[str, ...] = Field(default=(), exclude_if=lambda batches: not batches)
    """Open batches of the generation before that are still to be moved into this one."""
    relabelled: bool = Field(default=False, exclude_if=lambda relabelled: not relabelled)
    """The labels have changed, and nothing was trained with the new ones yet."""
    iteration: int = 0
    """The last iteration that was started."""
    repeats: int = Field(default=0, exclude_if=lambda number: not number)
    """How many iterations had no label that the one before did not have, imports included: stopping criteria do not
    count them."""
    batch_number: int = 0
    """The last batch that was requested."""
    asks: Asks = Asks()
    served_train_now: int = 0
    batches: tuple[OpenBatch, ...] = ()
    query: QueryIntent | None = None
    train: TrainIntent | None = None
    gate: GateIntent | None = None
    swap: SwapIntent | None = None
    waiting: SwapIntent | None = Field(default=None, exclude_if=lambda waiting: waiting is None)
    """The newest version that passed the gate while another one was tried. It is deployed after that one."""
    newest: str | None = None
    """The newest trained version whose integrity check passed. It picks the next batch, promoted or not."""
    taught: bool = Field(default=False, exclude_if=lambda taught: not taught)
    """Whether version 0, which the teacher taught, was judged. It is made once."""
    teaching_attempts: int = Field(default=0, exclude_if=lambda number: not number)
    """The last attempt at version 0 that failed before it was given up. Another try has the same run if its inputs are
    the same, so its attempts are numbered from there."""
    promoted: tuple[str, ...] = ()
    """The last versions of this generation that were served, oldest first."""
    refusals: int = 0
    """Number of refusals by the gate in a row."""
    stop: StopProgress = StopProgress()
    untrained: tuple[str, ...] = ()
    """Batches that closed while there was nothing to train on; the next training includes them."""
    trained_label_seq: int = 0
    trained_pool_seq: int = 0
    """Label and pool sequence numbers of the last planned training. Anything later starts the task again."""
    trained_spec_rev: int = Field(default=0, exclude_if=lambda rev: not rev)
    """Spec revision of the last planned training; 0 in states of release 0.2."""
    exhausted_pool_seq: int = 0
    """Pool sequence number at which a query found no record left to ask for."""
    query_failures: int = 0
    """Failures in a row of the next batch's query; its attempts are numbered from there."""
    query_not_before: Timestamp | None = None
    auto: AutoLabelling = Field(default=AutoLabelling(), exclude_if=lambda auto: auto == AutoLabelling())
    """An earlier release keeps it as it is. It gives no automatic labels, and trains on those that it finds."""
    attention: dict[str, str] = {}
    """What a person should look at, by cause (query, train, method, gate, swap, refusals, labels, stop, automatic,
    import).

    The loop goes on as far as it can, and removes a cause once it is resolved."""

    @property
    def counted_iterations(self) -> int:
        """Return the number of iterations with new labels, which is what stopping criteria count."""
        return self.iteration - self.repeats


class Lease(Document):
    """Who reconciles the task. The lease only saves work: two controllers do no harm, as no act takes effect twice."""

    FORMAT: ClassVar[str] = "lease"

    holder: str
    epoch: int
    """Number of holders so far."""
    beat: int
    """Number of renewals, each before a look at the task, so that the ETag changes while the holder is alive."""
    rests_s: float = Field(default=0.0, exclude_if=lambda seconds: not seconds)
    """Seconds for which the holder leaves a quiet task alone, so nobody who has no reason to look takes it over
    meanwhile. An earlier release takes it over all the same, and then looks often."""
