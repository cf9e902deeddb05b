"""A comparison of training methods: its arguments, its cells, and its output."""

from __future__ import annotations

from typing import ClassVar

from tornio.schemas.base import Document, Part


class Contender(Part):
    """What is compared: a training method that makes one kind of model on one encoder, a baseline, or the teacher.

    ``name``: what people are shown. Of ``method``, ``baseline`` and ``teacher`` exactly one is set.
    """

    name: str
    method: str | None = None
    kind: str | None = None
    encoder: str | None = None
    baseline: str | None = None
    teacher: bool = False


class CompareArgs(Part):
    """Train each contender with each number of labels, once for each seed, on a frozen view of the task."""

    label_seq: int
    pool_seq: int
    spec_rev: int
    contenders: tuple[Contender, ...]
    sizes: tuple[int, ...]
    """Numbers of labelled texts to learn from, ascending."""
    per_class: bool = False
    """The sizes are those of each class."""
    seeds: int = 3
    on_test: bool = False
    """The texts that were imported as hold-out judge. Only for the task that `tornio compare --data` makes for itself:
    the hold-out of other tasks judges versions, and nothing else."""
    data: str = ""
    """What people call the data, where it is not the task."""
    precision: str
    """Number format that the encoder computes in."""


class Cell(Part):
    """One training and its judgement. ``size`` 0: the contender learns from no label."""

    contender: Contender
    size: int
    seed: int


class CellResult(Document):
    """``runs/{run}/cells/{number}.json``: put if absent. What a cell scored, or why it failed."""

    FORMAT: ClassVar[str] = "comparison-cell"

    cell: Cell
    texts: int = 0
    """Number of texts that it learned from."""
    judged: int = 0
    micro_f1: float | None = None
    macro_f1: float | None = None
    seconds: float = 0.0
    """Time of training and prediction on this machine, without the embeddings and the teacher's labels, which all
    trainings share."""
    error: str | None = None


class Band(Part):
    """A mean over seeds with the ends of its 90 % interval. ``low`` and ``high`` None: too few seeds."""

    mean: float
    low: float | None = None
    high: float | None = None


class ComparisonRow(Part):
    """One contender with one number of labels, over all seeds."""

    contender: str
    size: int
    texts: int
    """Number of texts that it learned from, on average."""
    seeds: int
    """Number of seeds with a result."""
    micro_f1: Band | None = None
    macro_f1: Band | None = None
    seconds: float = 0.0
    """Mean time of a training."""
    errors: tuple[str, ...] = ()


class CompareOutput(Part):
    rows: tuple[ComparisonRow, ...]
    use_now: str
    """Which contender to use with the labels that there are, in a sentence."""
    next_labels: str
    """What more labels would bring, in a sentence."""
    results: str
    """Parquet file with one row per cell."""
    report: str
    """The report, as a single HTML file."""
