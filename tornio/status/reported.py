"""What the controller reports about a task beyond what the store holds. Frozen values that can be pickled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tornio.loop.phase import Phase
from tornio.schemas.trial import TrialReport
from tornio.tasks.progress import Progress


@dataclass(frozen=True, slots=True)
class HeldVersions:
    """The versions of one task that a classifier replica holds.

    ``serving``: version and revision that it answers with, None for no version. ``ready``: loaded versions, sorted.
    ``failed``: the reason per version that it cannot load. ``asleep``: it holds none until the task is asked for.
    ``trial``: what it has counted of the trial that runs, or of the last one.
    """

    serving: tuple[str, int] | None = None
    ready: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    asleep: bool = False
    trial: TrialReport | None = None


@dataclass(frozen=True, slots=True)
class ReplicaReport:
    """The last heartbeat of a replica about one task. ``age_s``: its age in seconds; None means unknown."""

    replica: str
    age_s: float | None = None
    held: HeldVersions = HeldVersions()


@dataclass(frozen=True, slots=True)
class ControllerStatus:
    """What the controller knows about one task. ``phase`` in a word, ``why`` in a sentence.

    ``batches``: progress per open batch, without the records that were deleted in the annotation tool. ``queryable``:
    records that a query may still pick; None before the controller's first look. ``runs``: the problem per run that
    cannot go on. ``first_version``: what the first version waits for; None once a version serves.
    ``gone_accounts``: annotators with answers whose accounts were deleted in the annotation tool. ``accounts``: names
    of annotators by the tool's permanent ids, as far as the controller has seen them. ``trial``: how far the trial is
    that runs on live traffic.
    """

    phase: Phase
    why: str
    batches: Mapping[str, Progress] = field(default_factory=dict)
    queryable: int | None = None
    replicas: tuple[ReplicaReport, ...] = ()
    runs: Mapping[str, str] = field(default_factory=dict)
    first_version: str | None = None
    gone_accounts: tuple[str, ...] = ()
    accounts: Mapping[str, str] = field(default_factory=dict)
    trial: str | None = None
