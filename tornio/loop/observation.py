"""What the controller saw of the world when it looked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tornio.schemas.registry import Alias
from tornio.schemas.task import Batch, Iteration
from tornio.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """A batch as label log and annotation tool show it. A discard is an answer.

    Records that are deleted, here or in the tool, count in neither number.
    """

    total: int
    answered: int
    logged: bool
    """Every record of it was seen in the annotation tool, once; what is missing later was deleted there."""
    lost: bool = False
    """It was sent, and its data set is gone from the tool: send it again."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """``output`` of a result.json, or the error of the attempt that failed."""

    output: Mapping[str, Any] | None = None
    error: str | None = None
    attempt: int = 0
    running: bool = False
    """A runner is at this attempt: nothing to do but wait."""


@dataclass(frozen=True, slots=True)
class Replica:
    """What a replica that heartbeats says: versions of this task that it holds, and those it cannot load."""

    replica_id: str
    ready: frozenset[str] = frozenset()
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at the world. It may be old by the time it is used: acts are conditional for that reason.

    The state is read first, then answers are appended to the label log, then all of this is read; what speaks of
    labels (``label_seq``, ``train_labels``, ``batches``) comes from one view of the log, so that a batch that closes
    freezes a sequence number which holds its last answer.
    """

    now: datetime
    spec: TaskSpec
    spec_rev: int
    pool_seq: int
    label_seq: int
    queryable: int
    """Records outside the reserve that are in no batch and have no label."""
    train_labels: Mapping[str, int]
    """Training labels by class, every class of the task."""
    imported_labels: Mapping[str, int] = field(default_factory=dict)
    """The part of them that was imported, not answered."""
    batches: Mapping[str, BatchProgress] = field(default_factory=dict)
    written: Mapping[str, Batch] = field(default_factory=dict)
    """Batches of the state's intents that stand in the store."""
    runs: Mapping[str, RunOutcome] = field(default_factory=dict)
    current: Alias | None = None
    candidate: Alias | None = None
    replicas: tuple[Replica, ...] = ()
    recorded: Mapping[int, Iteration] = field(default_factory=dict)
    """Iterations of the state's intents that stand in the store."""
    quiet: timedelta = timedelta(days=1)
    """How long the label log has stood still, as far as the observer knows."""

    @property
    def classes_with_labels(self) -> int:
        return sum(1 for count in self.train_labels.values() if count)

    @property
    def current_revision(self) -> int:
        return self.current.revision if self.current else 0
