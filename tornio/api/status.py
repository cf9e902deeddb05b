"""The status of a task: batches, replicas, curve, versions, and what users asked of the loop."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from tornio.api.annotators import AgreementStatus
from tornio.api.automatic import AutomaticStatus
from tornio.api.base import Answer
from tornio.api.drift import DriftStatus
from tornio.metricnames import MainMetric


class BatchStatus(Answer):
    """An open batch. A discard is an answer. ``total`` and ``answered`` are None if the batch was not read yet."""

    batch: str
    total: int | None = None
    answered: int | None = None
    opened_at: datetime | None = None
    closed: bool = False


class Serving(Answer):
    version: str
    revision: int
    previous: str | None
    who: str
    why: str
    since: datetime
    taught_by: str | None = None
    """Name of the teacher whose labels the version learned from; None if it learned from people's labels alone."""
    training_texts: int | None = None
    """Texts with a label of the log that it learned from; None if unknown."""
    outdated_labels: bool = False
    """Whether it answers with labels of before they were changed."""


class ReplicaStatus(Answer):
    """A classifier replica: the version that it answers with, versions that it holds, and versions that it cannot load.

    ``failed``: the reason per version. ``lags``: why it does not answer with the current version; None means that it
    does. ``age_s``: seconds since its last heartbeat. ``asleep``: it has no room for the task and loads it when it is
    asked for.
    """

    replica: str
    version: str | None = None
    revision: int | None = None
    ready: list[str] = []
    failed: dict[str, str] = {}
    age_s: float | None = None
    lags: str | None = None
    asleep: bool = False


class Swap(Answer):
    """A move of ``current``. Its ``cause`` is promotion, rollback or manual.

    ``seconds``: from the gate's verdict until replicas were ready and ``current`` moved; None for other causes than a
    promotion.
    """

    version: str
    revision: int
    previous: str | None
    at: datetime
    seconds: float | None
    cause: str = "promotion"
    who: str
    why: str


class HoldoutStatus(Answer):
    """The hold-out, in numbers of records. ``reserved``: held out, so that they judge and never train. ``labelled``:
    reserved, with a label. ``imported``, ``annotators``: where the labels of these come from. ``discarded``,
    ``disputed``: reserved and asked, without a label."""

    reserved: int = 0
    labelled: int = 0
    imported: int = 0
    annotators: int = 0
    discarded: int = 0
    disputed: int = 0


class SourceScore(Answer):
    """The score on the ``n`` hold-out texts whose labels come from one source, with its 95 % ``interval``."""

    n: int
    score: float
    interval: tuple[float, float]


class Scores(Answer):
    """The score of a version on the ``holdout`` texts that had a label, None without any.

    ``metric`` names it: ``accuracy``, the share of the texts whose label is right, or ``exact_match``, the share of
    the texts of which every label is right, in tasks that allow several. The other one of the two fields is None.
    ``calibration_error``: how far stated probabilities are from observed frequencies.
    ``interval``: at 95 %. ``labels_to_halve``: how many more hold-out labels would make it half as wide. ``sources``:
    the same score by where the labels come from, ``imported`` or ``annotators``.
    """

    metric: MainMetric = "accuracy"
    holdout: int | None = None
    accuracy: float | None = None
    exact_match: float | None = None
    calibration_error: float | None = None
    interval: tuple[float, float] | None = None
    labels_to_halve: int | None = None
    sources: dict[str, SourceScore] = {}

    @property
    def score(self) -> float | None:
        """The value of ``metric``."""
        return self.exact_match if self.metric == "exact_match" else self.accuracy


class CurvePoint(Scores):
    """One iteration. ``training_texts``: texts that trained; None if unknown. ``labels``: their labels, more than the
    texts if a text has several. ``signal``: of the stopping criterion."""

    iteration: int
    training_texts: int | None = None
    labels: int
    version: str | None
    promoted: bool | None
    signal: float | None = None
    failure: str | None = None


class Metrics(Scores):
    """The judgement of a version on the hold-out, when it was trained. ``values``: all metrics of the evaluation."""

    version: str
    iteration: int
    values: dict[str, Any] = {}


class AgainStatus(Answer):
    """``waiting``: texts in this ``dataset`` of Argilla that wait for the answer of one more annotator."""

    dataset: str
    waiting: int


class UndecidedStatus(Answer):
    """Texts with answers that give no label, those of the hold-out included.

    ``waiting``: they have fewer answers than ``needed``, the annotators that must answer each. ``disputed``: no answer
    has more votes than the others.
    """

    waiting: int = 0
    disputed: int = 0
    needed: int = 1


class AsksStatus(Answer):
    """What users asked of the loop. ``hold``: why nothing is promoted until `resume`."""

    paused: bool = False
    train_now: bool = False
    hold: str | None = None


class CriterionStatus(Answer):
    """How far a stopping criterion is: it compares ``value`` with ``threshold``. None: nothing to compare (with).

    ``measured``: number of its signals. A criterion that compares the mean of several has no value at first.
    """

    criterion: str
    value: float | None = None
    threshold: float | None = None
    met: bool = False
    measured: int = 0

    @property
    def without_value(self) -> str:
        """What is said where there is no value."""
        return f"{self.measured} measured, too few to compare" if self.measured else "nothing measured yet"


class StopStatus(Answer):
    """``signals``: those of the criterion, oldest first. ``criteria``: how far each is; those that ``any`` and ``all``
    hold stand in their place. ``stopped``: why it stopped."""

    criterion: str
    threshold: float | None = None
    signals: list[float] = []
    criteria: list[CriterionStatus] = []
    stopped: str | None = None


class TrialStatus(Answer):
    """A version on trial on live traffic, or how the last trial ended. ``since``: when it began."""

    version: str
    since: datetime
    promoted: bool | None = None
    """Whether it was let serve. None while the trial runs."""
    why: str
    """How far it is, or why it ended so."""


class TaskStatus(Answer):
    """The status of a task. ``phase`` in a word, ``why`` in a sentence."""

    workspace: str
    task: str
    phase: str
    why: str
    attention: str | None = None
    controller_away: str | None = None
    """Why the controller did not answer. Then what only it knows is missing: replicas, and answers of this minute."""
    spec_rev: int
    generation: int
    label_set_rev: int
    labels: list[str]
    multi_label: bool
    pool: int
    """Records."""
    live_texts: int = 0
    """Those of them that were sampled from the texts that users sent for a prediction."""
    queryable: int | None = None
    """Records that a query may still pick. None while the controller is away."""
    training_texts: int = 0
    """Texts that train."""
    training_labels: dict[str, int]
    """Training texts per label. A text with several labels counts for each."""
    automatic_labels: dict[str, int] = {}
    """Those of them that a model gave, per label; empty without any."""
    automatic: AutomaticStatus | None = None
    """The labels that versions give. None where the task wants none and never had any."""
    holdout: HoldoutStatus
    agreement: AgreementStatus | None = None
    """None means that no record has answers of two annotators."""
    undecided: UndecidedStatus = UndecidedStatus()
    again: list[AgainStatus] = []
    gone_accounts: list[str] = []
    """Annotators whose accounts do not exist in the annotation tool any more, by name, or by id where the name is not
    known. Their answers stay."""
    batches: list[BatchStatus] = []
    serving: Serving | None = None
    first_version: str | None = None
    """What the first version waits for. None once a version serves."""
    trial: TrialStatus | None = None
    candidate: str | None = None
    """A version that replicas are loading, or try."""
    metrics: Metrics | None = None
    """Of the version that serves; while none does, of the last one that was judged."""
    curve: list[CurvePoint] = []
    drift: DriftStatus | None = None
    """How live texts differ from the hold-out. None while nothing serves, or where no live text was counted."""
    stop: StopStatus
    swaps: list[Swap] = []
    """The last moves of ``current``, newest first."""
    replicas: list[ReplicaStatus] = []
    asks: AsksStatus = AsksStatus()
    annotate_url: str | None = None


class TaskSummary(Answer):
    workspace: str
    task: str
    phase: str
    why: str
    version: str | None
    revision: int | None


class Tasks(Answer):
    tasks: list[TaskSummary]


class ChangedAnswer(Answer):
    """A hold-out record that two versions answer differently. ``label``: the label that people gave."""

    record_id: str
    text: str | None = None
    label: list[str]
    before: list[str]
    after: list[str]


VersionState = Literal[
    "serving", "previous", "served", "loading", "on trial", "held", "refused", "waiting", "unjudged", "failed"
]


class VersionOut(Scores):
    """A trained version and what became of it.

    ``training_texts``: texts that trained; None if unknown. ``training_labels``: their labels, more than the texts if
    a text has several. ``holdout_imported``, ``holdout_annotators``: hold-out texts that had a label when it was
    trained, by where the label comes from; None if unknown.

    ``compared_with``: the version that served when it was judged. ``changed``: hold-out texts that the two answer
    differently. None if it is not known, or the labels were changed in between.

    ``on trial``: it is tried on live traffic. ``held``: the gate lets it serve, but a person's hold does not.
    ``waiting``: it passed the gate and does not serve yet.
    """

    version: str
    iteration: int
    kind: str = ""
    why: str = ""
    """Why it is of this kind, if classifier.kind is auto."""
    taught_by: str | None = None
    """Name of the teacher whose labels it learned from."""
    imported_by: str | None = None
    """Who sent the version, which was trained elsewhere: ``why`` says where. None: it was trained here."""
    state: VersionState
    reasons: list[str] = []
    warnings: list[str] = []
    training_texts: int | None = None
    training_labels: int
    holdout_imported: int | None = None
    holdout_annotators: int | None = None
    metrics: dict[str, Any] = {}
    thresholds: dict[str, float] = {}
    """With several labels per text: the least probability of each label that a text gets. Empty: .5."""
    compared_with: str | None = None
    changed: list[ChangedAnswer] = []
    created_at: datetime


class Versions(Answer):
    versions: list[VersionOut]
    """Newest first."""


class Asked(Answer):
    """The answer to a request to the loop. ``said``: what was asked and what follows from it."""

    said: str
    asks: AsksStatus
