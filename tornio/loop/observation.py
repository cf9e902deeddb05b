"""What the controller observes before it decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tornio.labels.automatic import Given
from tornio.schemas.automatic import AutoLabelRecord
from tornio.schemas.registry import Alias
from tornio.schemas.task import Batch, Iteration
from tornio.schemas.trial import TrialCounts, TrialRecord
from tornio.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """The progress of a batch, by the label log and the annotation tool. A discard is an answer.

    Records that were deleted, here or in the tool, count in neither number.
    """

    total: int
    answered: int
    logged: bool
    """Every record of it was seen in the annotation tool once. A record that is missing later was deleted there."""
    lost: bool = False
    """It was sent, and its data set has disappeared from the tool, so it must be sent again."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The ``output`` of a result.json, or the error of the attempt that failed."""

    output: Mapping[str, Any] | None = None
    error: str | None = None
    attempt: int = 0
    running: bool = False
    """A runner is working on this attempt, so the loop waits."""


@dataclass(frozen=True, slots=True)
class Replica:
    """What a replica reports: the versions of this task that it has loaded, and those that it cannot load.

    ``asleep``: it has no room for the task, and loads what is current when it is asked for. Nothing waits for it.
    """

    replica_id: str
    ready: frozenset[str] = frozenset()
    failed: Mapping[str, str] = field(default_factory=dict)
    asleep: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that the loop's decisions depend on. It may be outdated when it is used, so acts are conditional.

    The state is read first, then answers are appended to the label log, then all of this is read. What depends on
    labels (``label_seq``, ``train_labels``, ``batches``) comes from one view of the log, so that a batch that closes
    freezes a sequence number that includes its last answer.
    """

    now: datetime
    spec: TaskSpec
    spec_rev: int
    pool_seq: int
    label_seq: int
    queryable: int
    """Records that are not held out, in no batch, and without a label."""
    train_labels: Mapping[str, int]
    """Training labels of each class of the task."""
    imported_labels: Mapping[str, int] = field(default_factory=dict)
    """Those of them that were imported, not answered."""
    answered: int = 0
    """Texts that people have labelled here, those of the hold-out included: not imported, and not by a model."""
    batches: Mapping[str, BatchProgress] = field(default_factory=dict)
    generation: int = 1
    """The task's present generation. It is higher than the state's once the labels have changed."""
    written: Mapping[str, Batch] = field(default_factory=dict)
    """Batches of the state's intents that are in the store."""
    runs: Mapping[str, RunOutcome] = field(default_factory=dict)
    current: Alias | None = None
    candidate: Alias | None = None
    replicas: tuple[Replica, ...] = ()
    tried: TrialCounts = field(default_factory=TrialCounts)
    """What the replicas have counted of the trial that the state names."""
    trial_record: TrialRecord | None = None
    """The record of that trial, if it is in the store."""
    recorded: Mapping[int, Iteration] = field(default_factory=dict)
    """Iterations of the state's intents that are in the store."""
    cannot_train: str | None = None
    """Why no training can begin here, such as a training method that is not installed."""
    quiet: timedelta = timedelta(days=1)
    """How long the label log has been unchanged, as far as the observer knows."""

    pool_quiet: timedelta = timedelta(days=1)
    """How long the pool has been unchanged, as far as the observer knows."""
    pool_age: timedelta = timedelta(days=1)
    """How long the observer has known that the pool has a text."""

    given_seq: int | None = None
    """The last part of the label log with anything but automatic labels of versions; None: the last part of all."""
    automatic: Mapping[str, Given] = field(default_factory=dict)
    """The versions that ever gave automatic labels, and how many of their labels stand."""
    misplaced: int = 0
    """Automatic labels of versions on records that are held out by now."""
    holdout: int = 0
    """Hold-out labels by annotators."""
    pool: int = 0
    """Records of the pool."""
    labelled: AutoLabelRecord | None = None
    """The record of the state's automatic labelling, if it is in the store."""

    @property
    def news_seq(self) -> int:
        """The last part of the label log that is new to a training: automatic labels of versions are not."""
        return self.label_seq if self.given_seq is None else self.given_seq

    @property
    def standing(self) -> tuple[str, ...]:
        """The versions with automatic labels that stand."""
        return tuple(version for version, given in sorted(self.automatic.items()) if given.standing)

    @property
    def holders(self) -> tuple[Replica, ...]:
        """The replicas that hold the task: those for which a swap waits."""
        return tuple(replica for replica in self.replicas if not replica.asleep)

    @property
    def current_revision(self) -> int:
        return self.current.revision if self.current else 0
