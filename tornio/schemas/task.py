"""The documents of a task: which spec it follows, what was sent to annotators, what happened."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, ClassVar

from pydantic import Field, ValidationError

from tornio.errors import IntegrityError
from tornio.records import Purpose
from tornio.schemas.base import Document, Part, Timestamp
from tornio.spec import TaskSpec


class TaskDocument(Document):
    """``task.json``: points at the current spec. Moved only with If-Match."""

    FORMAT: ClassVar[str] = "task"

    workspace: str
    task: str
    spec_rev: int = Field(ge=1)
    generation: int = Field(ge=1)
    label_set_rev: int = Field(ge=1)
    holdout_key: str
    """Key of the hash that reserves the hold-out. Fixed for ever: another key would mix judge and judged."""
    created_at: Timestamp


class SpecDocument(Document):
    """``specs/{rev}.json``: every spec that the task has had; put if absent."""

    FORMAT: ClassVar[str] = "spec"

    rev: int = Field(ge=1)
    spec: dict[str, Any]
    """A TaskSpec as JSON; kept raw so that another release's fields survive."""
    who: str
    created_at: Timestamp

    def task_spec(self) -> TaskSpec:
        """The spec as this release understands it; fields of a later release are left out."""
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
    """A model's proposal for one record of a batch."""

    labels: tuple[str, ...]
    scores: tuple[float, ...]


class BatchItem(Part):
    """One record of a batch. Hold-out records carry neither suggestion nor uncertainty."""

    record_id: str
    purpose: Purpose
    suggestion: SuggestionPart | None = None
    uncertainty: float | None = None
    """The strategy's score, larger is more uncertain, in [0, 1]."""


class Batch(Document):
    """``batches/{batch}.json``: put if absent before anything goes to the annotation tool."""

    FORMAT: ClassVar[str] = "batch"

    batch: str
    number: int = Field(ge=1)
    generation: int
    dataset: str
    """Name of the data set in the annotation tool."""
    items: tuple[BatchItem, ...]
    strategy: str
    """The strategy that picked, or ``cold-start-random`` and the like."""
    agent: str | None = None
    """Who suggests: a version, or ``teacher:...``."""
    run: str
    """The query run that picked."""
    created_at: Timestamp


class StopSet(Document):
    """``stopset.json``: the fixed records that the stopping criterion is computed on; put if absent."""

    FORMAT: ClassVar[str] = "stop-set"

    record_ids: tuple[str, ...]
    pool_seq: int
    seed: int


class GateVerdict(Part):
    """Why a candidate may serve or not."""

    promoted: bool
    """Whether the gate lets it serve; a hold of the user may still keep it back."""
    integrity: bool
    """False: broken; it must not even pick the next batch."""
    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()


KAPPA = "kappa"
"""The agreement with the version before, among an iteration's ``stop`` signals."""


class Iteration(Document):
    """``iterations/{n}.json``: what happened, for the curve and the page. Immutable."""

    FORMAT: ClassVar[str] = "iteration"

    number: int = Field(ge=1)
    generation: int
    batches: tuple[str, ...]
    """The batches whose closing started this iteration; none for a cold start or train-now."""
    label_seq: int
    pool_seq: int
    spec_rev: int
    labels: dict[str, int]
    """Training labels by class."""
    train_run: str
    evaluate_run: str | None = None
    version: str | None = None
    verdict: GateVerdict | None = None
    metrics: dict[str, Any] = {}
    """The hold-out figures, as the evaluate run gave them."""
    stop: dict[str, Any] = {}
    """What stopping criteria measured: ``kappa``, and the signals of others by the criterion's name."""
    failure: str | None = None
    started_at: Timestamp
    finished_at: Timestamp
