"""What jobs take and give: the ``args`` of a plan.json and the ``output`` of a result.json."""

from __future__ import annotations

from typing import Any

from tornio.schemas.base import Part
from tornio.schemas.task import BatchItem, GateVerdict


class TrainArgs(Part):
    """Train a candidate from a frozen view of the task. Seeds derive from task, generation and iteration."""

    generation: int
    iteration: int
    label_seq: int
    pool_seq: int
    spec_rev: int
    parent: str | None


class TrainOutput(Part):
    version: str
    labels: dict[str, int]
    """Training labels by class."""
    metrics: dict[str, float] = {}


class EvaluateArgs(Part):
    """Judge a version on the hold-out, against what serves and what has served."""

    version: str
    current: str | None
    rivals: tuple[str, ...]
    """The last promoted versions of the generation, ``current`` not among them."""
    agree_with: str | None
    """The version that agreement on the stop set is measured against."""
    label_seq: int
    pool_seq: int
    spec_rev: int


class EvaluateOutput(Part):
    verdict: GateVerdict
    holdout: dict[str, Any] = {}
    """The version's metrics: n, accuracy and its interval, macro_f1, per_class, confusion; empty without labels."""
    rivals: dict[str, float] = {}
    """Accuracy of the others on the same hold-out."""
    changed: tuple[dict[str, Any], ...] = ()
    """Hold-out answers on which the version and ``current`` differ: record_id, label, current, candidate."""
    agreement: float | None = None
    """Cohen's kappa of the two versions' predictions on the stop set."""


class QueryArgs(Part):
    """Pick a batch. Everything in an earlier batch (number < this one) is left out, answered or not."""

    batch: str
    number: int
    generation: int
    version: str | None
    """None: a cold start."""
    label_seq: int
    pool_seq: int
    spec_rev: int


class QueryOutput(Part):
    items: tuple[BatchItem, ...]
    """Empty: nothing is left to ask."""
    strategy: str
    agent: str | None = None


class LabelArgs(Part):
    """Let the teacher label the pool."""

    pool_seq: int
    spec_rev: int


class LabelOutput(Part):
    key: str
    """Parquet with record_id, labels, scores."""
    records: int
    agent: str
