"""The HTTP API on the wire: what the gateway answers and ``tornio.Client`` reads. Light: pydantic only.

Requests refuse fields that nobody knows, so that a misspelt one is not silently ignored; answers may grow fields
that an older client leaves out.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tornio import errors
from tornio.records import MetadataValue, Purpose
from tornio.spec import NAME_PATTERN, LabelSpec, TaskSpec

MIB = 1 << 20
MAX_TEXTS = 1_000
"""Texts of one predict or zero-shot request; the client sends more in several."""
MAX_PREDICT_BYTES = 8 * MIB
MAX_RECORDS = 5_000
"""Records or labels of one request; the client sends more in several."""
MAX_BODY_BYTES = 32 * MIB
MAX_TEXT = 100_000
"""Characters of one text: far more than a model reads, and little enough to show to an annotator."""

JSON_LINES = "application/jsonl"
PROBLEM_JSON = "application/problem+json"
COUNT_HEADER = "Tornio-Count"
"""How many lines a stream has: a stream that ends early cannot say so otherwise."""


class TaskName(NamedTuple):
    """A task's full name, ``{workspace}/{task}``."""

    workspace: str
    task: str

    def __str__(self) -> str:
        return f"{self.workspace}/{self.task}"

    @classmethod
    def parse(cls, name: str) -> TaskName:
        """Read ``workspace/task``. Raises InvalidInput."""
        workspace, slash, task = name.partition("/")
        if not (slash and re.match(NAME_PATTERN, workspace) and re.match(NAME_PATTERN, task)):
            raise errors.InvalidInput(
                f"{name!r} is no task: write workspace/task, each of lower-case letters, digits, '-' and '_'"
            )
        return cls(workspace, task)


class Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


# What is sent

RecordId = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT, pattern=r"\S")]


class RecordIn(Request):
    """A text for the pool. Without ``record_id`` it gets a digest of the text."""

    record_id: RecordId | None = None
    text: Text
    metadata: dict[str, MetadataValue] = {}


RecordsIn = Annotated[list[RecordIn], Field(min_length=1, max_length=MAX_RECORDS)]


class LabelIn(Request):
    """A labelled text. ``labels`` has one name, or, where the task allows several, any number."""

    record_id: RecordId | None = None
    text: Text
    labels: list[str]
    metadata: dict[str, MetadataValue] = {}


class LabelsIn(Request):
    """Labels that exist already. ``train``: they train, and their texts leave the reserve; ``holdout``: they judge."""

    purpose: Literal["train", "holdout"] = "train"
    source: str | None = Field(None, min_length=1, max_length=200, description="Where they come from, such as a file.")
    request: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]{8,64}$",
        description="An id of this request, never used for another: sent again, it writes nothing a second time.",
    )
    labels: list[LabelIn] = Field(min_length=1, max_length=MAX_RECORDS)


class PredictIn(Request):
    texts: list[Annotated[str, Field(max_length=MAX_TEXT)]] = Field(min_length=1, max_length=MAX_TEXTS)


class ZeroShotIn(Request):
    """Classify without training. A label is a name, or a name with a sentence that describes it."""

    texts: list[Annotated[str, Field(max_length=MAX_TEXT)]] = Field(min_length=1, max_length=MAX_TEXTS)
    labels: list[str | LabelSpec] = Field(min_length=2, max_length=1000)
    templates: list[str] | None = Field(None, min_length=1, max_length=32)
    multi_label: bool = False

    def label_specs(self) -> tuple[LabelSpec, ...]:
        return tuple(LabelSpec(name=label) if isinstance(label, str) else label for label in self.labels)


class RollbackIn(Request):
    why: str | None = Field(None, max_length=1000)
    expected_revision: int | None = Field(None, description="Of the alias `current`; at any other, 409.")


# What comes back


class Applied(Answer):
    """``changes``: what changed, in words, with when it takes effect; empty where nothing did."""

    workspace: str
    task: str
    created: bool
    spec_rev: int
    changes: list[str] = []


class RecordsAdded(Answer):
    """``known``: records that the pool has already, by id. ``same_text``: added, though their text is not new."""

    added: int = 0
    known: int = 0
    same_text: int = 0

    def __add__(self, other: RecordsAdded) -> RecordsAdded:
        return RecordsAdded(
            added=self.added + other.added, known=self.known + other.known, same_text=self.same_text + other.same_text
        )


class LabelsImported(Answer):
    """``imported``: labels written; ``unchanged``: said already; ``records_added``: texts new to the pool."""

    imported: int = 0
    unchanged: int = 0
    records_added: int = 0

    def __add__(self, other: LabelsImported) -> LabelsImported:
        return LabelsImported(
            imported=self.imported + other.imported,
            unchanged=self.unchanged + other.unchanged,
            records_added=self.records_added + other.records_added,
        )


class PredictionOut(Answer):
    """What a served version says of one text; ``truncated``: the model read only its beginning."""

    labels: list[str]
    probabilities: dict[str, float]
    truncated: bool
    version: str
    revision: int


class Predictions(Answer):
    predictions: list[PredictionOut]


class ZeroShotPrediction(Answer):
    labels: list[str]
    probabilities: dict[str, float]
    truncated: bool


class ZeroShotOut(Answer):
    """``agent``: the model that answered."""

    predictions: list[ZeroShotPrediction]
    agent: str


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


class LabelledRecord(Answer):
    """A line of the export: what the task takes as true of a record, and who says so."""

    record_id: str
    text: str | None
    labels: list[str]
    purpose: Purpose | None
    source: str
    """The kind of event that decided: answer, correction, import or auto."""
    annotators: int = 0


class Readiness(Answer):
    """``parts``: 'ok', or what is wrong with each."""

    ready: bool
    parts: dict[str, str]


class FieldError(Answer):
    where: str
    message: str


class Problem(Answer):
    """RFC 9457. ``type`` names an error of ``tornio.errors``: ``urn:tornio:problem:not-servable``."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


def checked_spec(values: Any, where: str = "the spec") -> TaskSpec:
    """The spec that these values, or this JSON text, describe. Raises InvalidSpec, with a line for each fault."""
    try:
        if isinstance(values, str):
            return TaskSpec.model_validate_json(values)
        return TaskSpec.model_validate(values)
    except ValidationError as error:
        faults = [
            f"{where}, {'.'.join(map(str, fault['loc'])) or 'as a whole'}: {fault['msg']}" for fault in error.errors()
        ]
        raise errors.InvalidSpec("\n".join(faults)) from error


_PREFIX = "urn:tornio:problem:"


def problem_type(error: type[errors.TornioError]) -> str:
    """The ``type`` of a problem document for this class of error."""
    return _PREFIX + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", error.__name__).lower()


def error_class(problem: str) -> type[errors.TornioError] | None:
    """The class that ``type`` names, or None for one that this release does not know."""
    return _CLASSES.get(problem)


def _tree(root: type[errors.TornioError]) -> list[type[errors.TornioError]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in _tree(child))]


_CLASSES = {problem_type(cls): cls for cls in _tree(errors.TornioError)}
