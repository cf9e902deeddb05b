"""What jobs take and give: the ``args`` of a plan.json and the ``output`` of a result.json."""

from __future__ import annotations

from typing import Any, ClassVar

from tornio.schemas.base import Document, Part
from tornio.schemas.registry import EncoderUse
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
    kind: str = ""
    why: str = ""
    """Why it is of this kind, where the spec leaves that open."""


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
    signals: dict[str, float] = {}
    """What other stopping criteria measured on the stop set, by the criterion's name."""


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
    """Write the teacher's probability of every label for each record of the pool."""

    pool_seq: int
    spec_rev: int


class LabelOutput(Part):
    key: str
    """Folder of Parquet files, soft-labels: one for each part of the pool. It also holds the parts that later runs of
    the same teacher add."""
    records: int
    agent: str
    """Name of the teacher."""


class InputFile(Part):
    """One file of a data set, as it was when the run was planned."""

    uri: str
    """Path, or s3://bucket/key."""
    etag: str
    """SHA-256 of a local file's bytes; the store's ETag of an object."""
    size: int
    """Bytes."""


class ScoreArgs(Part):
    """Score a labelled set by its loss: under a version, a model of its own, or, with folds, out of sample."""

    files: tuple[InputFile, ...]
    text_column: str | None = None
    label_column: str | None = None
    id_column: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    separator: str = "|"
    """Between the labels of a text that has several."""
    labels: tuple[str, ...]
    multi_label: bool = False
    version: str | None = None
    """A version of the task, which scores."""
    classifier: EncoderUse | None = None
    """A published sequence classifier, which scores."""
    encoder: EncoderUse | None = None
    """With ``folds``: embeds the texts for the heads."""
    folds: int = 0
    """Each row is scored by a head that did not see it; 0: by the version or classifier."""
    ranking: str = "loss"
    """What ``suspicion`` is: see ``tornio.scoring.ranking``."""
    seed: int = 0
    part_rows: int = 4096
    """Two windows of the engine: enough parts that small data sets spread over workers, too."""
    strict: bool = False
    """A row that cannot be used ends the run, and is not only put aside."""
    precision: str
    """What the model computes in: fixed, so that a resumed run gives the same rows."""


class ScoreOutput(Part):
    """Where the scores are, and what they say together."""

    scores: str
    """Folder of Parquet parts, one row a row of the input."""
    rejected: str
    """Folder of Parquet parts: file, line and reason of each row that could not be used."""
    report: str
    """HTML, one file."""
    parts: int
    rows: int
    rejected_rows: int
    labels: tuple[str, ...]
    """In the order of the column ``probabilities``."""
    agreement: float
    """Share of the rows whose predicted labels are the given ones."""
    mean_loss: float
    truncated: int
    """Rows whose text was cut."""
    ranking: str
    """Column that the rows are best sorted by, largest first."""
    suspicion: str = "loss"
    """What that column is: see ``tornio.scoring.ranking``."""
    model: str


class PartCount(Part):
    """A part of the input: at most ``part_rows`` rows, in the input's order."""

    rows: int
    rejected: int


class ScoreInput(Document):
    """``runs/{run}/input.json``: the parts that the input was cut into; put last, when all of them stand."""

    FORMAT: ClassVar[str] = "score-input"

    parts: tuple[PartCount, ...]
    labels: tuple[str, ...]

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)
