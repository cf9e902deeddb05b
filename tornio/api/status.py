"""The status of a task: batches, replicas, curve, versions, and what users asked of the loop."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from tornio.api.base import Answer, Request


class RollbackIn(Request):
    why: str | None = Field(None, max_length=1000)
    expected_revision: int | None = Field(None, description="Expected revision of `current`. At any other, 409.")


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
    reserved, with a label. ``discarded``, ``disputed``: reserved and asked, without a label."""

    reserved: int = 0
    labelled: int = 0
    discarded: int = 0
    disputed: int = 0


class CurvePoint(Answer):
    """One iteration. ``accuracy`` and its 95 % ``interval`` on the hold-out, ``signal`` of the stopping criterion.

    ``labels_to_halve``: the number of further hold-out labels that would make the interval half as wide, here and in
    the other models.
    """

    iteration: int
    labels: int
    version: str | None
    promoted: bool | None
    holdout: int | None = None
    accuracy: float | None = None
    interval: tuple[float, float] | None = None
    labels_to_halve: int | None = None
    signal: float | None = None
    failure: str | None = None


class Metrics(Answer):
    """The last judgement of a version on the hold-out. ``values``: all metrics of the evaluation."""

    version: str
    iteration: int
    holdout: int | None = None
    accuracy: float | None = None
    interval: tuple[float, float] | None = None
    labels_to_halve: int | None = None
    values: dict[str, Any] = {}


class AgreementStatus(Answer):
    """Krippendorff's ``alpha`` of several annotators (1 perfect, 0 chance) over the ``records`` that two or more
    labelled."""

    alpha: float
    records: int


class AsksStatus(Answer):
    """What users asked of the loop. ``hold``: why nothing is promoted until `resume`."""

    paused: bool = False
    train_now: bool = False
    hold: str | None = None


class StopStatus(Answer):
    """``signals``: agreement of consecutive versions on the stop set, oldest first. ``stopped``: why it stopped."""

    criterion: str
    threshold: float | None = None
    signals: list[float] = []
    stopped: str | None = None


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
    queryable: int | None = None
    """Records that a query may still pick. None while the controller is away."""
    training_labels: dict[str, int]
    """Training labels per class."""
    holdout: HoldoutStatus
    agreement: AgreementStatus | None = None
    """None means that no record has answers of two annotators."""
    batches: list[BatchStatus] = []
    serving: Serving | None = None
    first_version: str | None = None
    """What the first version waits for. None once a version serves."""
    candidate: str | None = None
    """A version that replicas are loading."""
    metrics: Metrics | None = None
    curve: list[CurvePoint] = []
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


VersionState = Literal["serving", "previous", "served", "loading", "held", "refused", "waiting", "unjudged", "failed"]


class VersionOut(Answer):
    """A trained version and what became of it.

    ``held``: the gate lets it serve, but a person's hold does not. ``waiting``: it passed the gate and does not serve
    yet.
    """

    version: str
    iteration: int
    kind: str = ""
    why: str = ""
    """Why it is of this kind, if classifier.kind is auto."""
    state: VersionState
    reasons: list[str] = []
    warnings: list[str] = []
    training_labels: int
    holdout: int | None = None
    accuracy: float | None = None
    interval: tuple[float, float] | None = None
    labels_to_halve: int | None = None
    metrics: dict[str, Any] = {}
    changed: list[ChangedAnswer] = []
    created_at: datetime


class Versions(Answer):
    versions: list[VersionOut]
    """Newest first."""


class Asked(Answer):
    """The answer to a request to the loop. ``said``: what was asked and what follows from it."""

    said: str
    asks: AsksStatus
