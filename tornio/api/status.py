"""How a task stands: batches, replicas, curve, versions, and what users asked of the loop."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from tornio.api.base import Answer, Request


class RollbackIn(Request):
    why: str | None = Field(None, max_length=1000)
    expected_revision: int | None = Field(None, description="Of the alias `current`; at any other, 409.")


class BatchStatus(Answer):
    """A batch in the annotators' hands. A discard is an answer; ``answered`` is none where it was not read yet."""

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
    """A classifier replica, what it answers with, and which versions it holds or cannot load (and why).

    ``lags``: why it does not answer with what it should, none where it does. ``age_s``: of its last heartbeat.
    """

    replica: str
    version: str | None = None
    revision: int | None = None
    ready: list[str] = []
    failed: dict[str, str] = {}
    age_s: float | None = None
    lags: str | None = None


class Swap(Answer):
    """A move of ``current``; its ``cause`` is promotion, rollback or manual.

    ``seconds``: from the gate's word until replicas were ready and it moved; none where it was no promotion.
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
    """``reserved``: records of the pool that only ever judge; ``labelled``: those that can, having an answer;
    ``discarded``, ``disputed``: those that were asked and have no label."""

    reserved: int = 0
    labelled: int = 0
    discarded: int = 0
    disputed: int = 0


class CurvePoint(Answer):
    """One iteration. ``accuracy`` and its 95 % ``interval`` on the hold-out, ``signal`` of the stopping criterion.

    ``labels_to_halve``: how many more hold-out labels would make the interval half as wide; here as elsewhere.
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
    """The last judgement of a version on the hold-out. ``values`` as the evaluation gave them."""

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
    """Where a task stands: ``phase`` in a word, ``why`` in a sentence."""

    workspace: str
    task: str
    phase: str
    why: str
    attention: str | None = None
    controller_away: str | None = None
    """Why the controller could not be asked; what only it knows (replicas, answers of this minute) is then missing."""
    spec_rev: int
    generation: int
    label_set_rev: int
    labels: list[str]
    multi_label: bool
    pool: int
    """Records."""
    queryable: int | None = None
    """Records that a query may still pick; none while the controller is away."""
    training_labels: dict[str, int]
    """Training labels by class."""
    holdout: HoldoutStatus
    agreement: AgreementStatus | None = None
    """None while no record has two annotators' answers."""
    batches: list[BatchStatus] = []
    serving: Serving | None = None
    candidate: str | None = None
    """A version that replicas are loading."""
    metrics: Metrics | None = None
    curve: list[CurvePoint] = []
    stop: StopStatus
    swaps: list[Swap] = []
    """The last ones, newest first."""
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
    """A hold-out record that two versions answer differently. ``label``: what people say."""

    record_id: str
    text: str | None = None
    label: list[str]
    before: list[str]
    after: list[str]


VersionState = Literal["serving", "previous", "served", "loading", "held", "refused", "waiting", "unjudged", "failed"]


class VersionOut(Answer):
    """A trained version and what became of it.

    ``held``: the gate lets it serve, a person's hold does not; ``waiting``: it passed and was not (yet) put to serve.
    """

    version: str
    iteration: int
    kind: str = ""
    why: str = ""
    """Why it is of this kind, where classifier.kind is auto."""
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
    """``said``: what was asked of the loop and what follows from it."""

    said: str
    asks: AsksStatus
