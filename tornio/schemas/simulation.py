"""A simulation of asking: its arguments, its replays, and its output."""

from __future__ import annotations

from typing import ClassVar

from tornio.schemas.base import Document, Part
from tornio.schemas.comparison import Band


class Arm(Part):
    """What is replayed: a query strategy after a cold start, with a kind of model and a size of batches.

    ``name``: what people are shown.
    """

    name: str
    strategy: str
    cold_start: str
    kind: str
    batch_size: int


class SimulateArgs(Part):
    """Replay each arm once for each seed, on a frozen view of the task's labels."""

    label_seq: int
    pool_seq: int
    spec_rev: int
    arms: tuple[Arm, ...]
    labels: int
    """Labels that each replay may ask for."""
    seeds: int = 5
    on_test: bool = False
    """As ``CompareArgs.on_test``, for the task that `tornio simulate --data` makes for itself."""
    data: str = ""
    """What people call the data, where it is not the task."""
    precision: str
    """Number format that the encoder computes in."""


class Point(Part):
    """A replay after a batch. ``signals``: what each stopping criterion measured, by its name; none after the first."""

    labels: int
    micro_f1: float
    macro_f1: float
    signals: dict[str, float] = {}


class ReplayResult(Document):
    """``runs/{run}/replays/{number}.json``: put if absent. How one arm learned with one seed, or why it failed."""

    FORMAT: ClassVar[str] = "simulation-replay"

    arm: Arm
    seed: int
    judged: int = 0
    """Texts that judged."""
    points: tuple[Point, ...] = ()
    stops: dict[str, int] = {}
    """Labels at which each stopping criterion would have stopped, by its name; without those that would not."""
    seconds: float = 0.0
    error: str | None = None


class ArmRow(Part):
    """One arm with one number of labels, over all seeds."""

    arm: str
    labels: int
    seeds: int
    micro_f1: Band
    macro_f1: Band


class Saving(Part):
    """An arm against the random one of the same kind and size of batches, paired by seed.

    ``labels``: how many labels fewer it needs for the highest score that both reach. ``points``: by how much its
    micro F1 is higher on average over its curve. ``seeds``: those that succeeded with both.
    """

    arm: str
    against: str
    seeds: int
    labels: Band
    points: Band


class StopRow(Part):
    """What a stopping criterion would have done with an arm: in how many of the ``seeds`` it would have ``stopped``,
    and with how many ``labels`` and which score there, on average; None where it never stopped."""

    arm: str
    criterion: str
    seeds: int
    stopped: int
    labels: Band | None = None
    micro_f1: Band | None = None


class SimulateOutput(Part):
    rows: tuple[ArmRow, ...]
    savings: tuple[Saving, ...]
    stops: tuple[StopRow, ...]
    errors: dict[str, tuple[str, ...]] = {}
    """Why replays of an arm failed, by the arm's name."""
    conclusion: str
    """What the replays say, in a sentence."""
    results: str
    """Parquet file with one row for each replay and number of labels."""
    report: str
    """The report, as a single HTML file."""
