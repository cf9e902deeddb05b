"""The documents of a task: its specs, the batches that were sent to annotators, and its iterations."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, ClassVar

from pydantic import Field, ValidationError

from tornio.errors import IntegrityError
from tornio.records import Purpose
from tornio.schemas.base import Document, Part, Timestamp
from tornio.schemas.trial import AgainstCurrent
from tornio.spec import TaskSpec

_WITH_GENERATIONS = 3


class TaskDocument(Document):
    """``task.json``: points at the current spec. Written only with If-Match.

    From the second generation on, its schema number is 3. Release 0.2 would read answers without the label set that
    they were given under, and cannot read this number, so it leaves the task alone.
    """

    FORMAT: ClassVar[str] = "task"
    READS: ClassVar[int | None] = 4

    workspace: str
    task: str
    spec_rev: int = Field(ge=1)
    generation: int = Field(ge=1)
    label_set_rev: int = Field(ge=1)
    holdout_key: str
    """Key of the hash that reserves the hold-out. It never changes: another key would mix training and test data."""
    created_at: Timestamp

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        if self.generation > 1:
            object.__setattr__(self, "schema_number", max(self.schema_number, _WITH_GENERATIONS))


class LabelFate(Part):
    """What became of a label: its new name, or None if it was removed."""

    label: str
    becomes: str | None


class LabelSetDocument(Document):
    """``label-sets/{rev}.json``: the labels of a later generation, and what became of those before. Written once (put
    if absent). The labels of the first generation have no such document."""

    FORMAT: ClassVar[str] = "label-set"

    rev: int = Field(ge=2)
    parent: int = Field(ge=1)
    """Revision of the label set before."""
    generation: int = Field(ge=2)
    labels: tuple[str, ...]
    fates: tuple[LabelFate, ...]
    """Every label of the label set before."""
    who: str
    created_at: Timestamp


class SpecDocument(Document):
    """``specs/{rev}.json``: one of the specs that the task has had. Written once (put if absent)."""

    FORMAT: ClassVar[str] = "spec"

    rev: int = Field(ge=1)
    spec: dict[str, Any]
    """A TaskSpec as JSON. It is stored raw, so that fields of another release survive."""
    label_set_rev: int = Field(default=1, ge=1, exclude_if=lambda rev: rev == 1)
    """The label set of its labels."""
    who: str
    created_at: Timestamp

    def task_spec(self) -> TaskSpec:
        """Return the spec as this release understands it, without fields of a later release."""
        try:
            return TaskSpec.model_validate(self.spec)
        except ValidationError as error:
            unknown = [e["loc"] for e in error.errors() if e["type"] == "extra_forbidden"]
            if not unknown:
                raise IntegrityError(f"spec {self.rev} is not valid for this release: {error}") from error
        spec = deepcopy(self.spec)
        for *path, name in unknown:
            section: Any = spec
            for step in path:
                section = section[step]
            del section[name]
        return self.evolve(spec=spec).task_spec()


class SuggestionPart(Part):
    """The labels that a model proposes for one record of a batch."""

    labels: tuple[str, ...]
    scores: tuple[float, ...]


class BatchItem(Part):
    """One record of a batch. Hold-out records have neither a suggestion nor an uncertainty."""

    record_id: str
    purpose: Purpose
    suggestion: SuggestionPart | None = None
    uncertainty: float | None = None
    """The query strategy's score in [0, 1]; larger means more uncertain."""
    again: int = Field(default=0, ge=0, exclude_if=lambda again: again == 0)
    """How often the record was asked before. One that is asked again goes to a data set of its own, in which one more
    annotator answers it: ``Batch.dataset_of``."""


class Batch(Document):
    """``batches/{batch}.json``: written once (put if absent), before anything is sent to the annotation tool."""

    FORMAT: ClassVar[str] = "batch"

    batch: str
    number: int = Field(ge=1)
    generation: int
    dataset: str
    """Name of the data set in the annotation tool. Records that are asked again are in another one."""
    items: tuple[BatchItem, ...]
    strategy: str
    """The strategy that picked the batch, or a name such as ``cold-start-random``."""
    agent: str | None = None
    """The model whose suggestions the batch carries: a version, or ``teacher:...``."""
    run: str
    """The query run that picked the batch."""
    created_at: Timestamp

    def dataset_of(self, item: BatchItem) -> str:
        """Return the data set of a record: ``mood``, or ``mood again`` and ``mood again 2`` where it is asked again.

        No task has such a name, because names of tasks have no spaces.
        """
        if not item.again:
            return self.dataset
        return f"{self.dataset} again" if item.again == 1 else f"{self.dataset} again {item.again}"

    def by_dataset(self) -> dict[str, tuple[BatchItem, ...]]:
        """Return the records by data set. That of the batch comes first, and is there even without records."""
        names = {self.dataset: 0} | {self.dataset_of(item): item.again for item in self.items}
        return {name: tuple(item for item in self.items if item.again == again) for name, again in names.items()}


class StopSet(Document):
    """``stopset.json``: the fixed records on which the stopping criterion is computed. Written once (put if absent)."""

    FORMAT: ClassVar[str] = "stop-set"

    record_ids: tuple[str, ...]
    pool_seq: int
    seed: int


class GateVerdict(Part):
    """The gate's decision about a candidate, with its reasons."""

    promoted: bool
    """Whether the gate allows the candidate to be deployed. A hold set by a user may still prevent it."""
    integrity: bool
    """False means that the model is broken, so that it must not even pick the next batch."""
    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()


KAPPA = "kappa"
"""Key of the agreement with the previous version, among an iteration's ``stop`` signals."""


class Iteration(Document):
    """``iterations/{n}.json``: what happened in an iteration, for the learning curve and the status page. Immutable.

    ``bootstrap.json`` is iteration 0: the version that the teacher taught before anybody had labelled.
    """

    FORMAT: ClassVar[str] = "iteration"

    number: int = Field(ge=0)
    generation: int
    batches: tuple[str, ...]
    """The batches whose closing started this iteration; empty for a cold start or a train-now request."""
    label_seq: int
    pool_seq: int
    spec_rev: int
    labels: dict[str, int]
    """Number of training texts per label. A text with several labels counts for each."""
    texts: int | None = Field(default=None, exclude_if=lambda texts: texts is None)
    """Number of training texts. None in iterations of release 0.2."""
    taught_by: str | None = Field(default=None, exclude_if=lambda teacher: teacher is None)
    """Name of the teacher whose labels the version learned from."""
    automatic: tuple[str, ...] = Field(default=(), exclude_if=lambda versions: not versions)
    """The versions whose automatic labels it was trained on."""
    imported_by: str | None = Field(default=None, exclude_if=lambda who: who is None)
    """Who sent the version, which was trained elsewhere. None: it was trained here."""
    train_run: str
    evaluate_run: str | None = None
    version: str | None = None
    verdict: GateVerdict | None = None
    metrics: dict[str, Any] = {}
    """The report on the hold-out, as the evaluate run returned it. With several labels per text, ``accuracy`` repeats
    ``exact_match``."""
    stop: dict[str, Any] = {}
    """Measurements of stopping criteria: ``kappa``, and the signals of others by the criterion's name."""
    against: AgainstCurrent | None = Field(default=None, exclude_if=lambda against: against is None)
    """How it compares with what was ``current``. None without one that has the same label set."""
    failure: str | None = None
    started_at: Timestamp
    finished_at: Timestamp
