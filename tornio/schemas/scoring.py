"""Inputs and outputs of the jobs that go over a data set in parts: ``score`` and ``predict``."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from tornio.schemas.base import Document, Part
from tornio.schemas.registry import EncoderUse


class InputFile(Part):
    """One file of a data set, as it was when the run was planned."""

    uri: str
    """A path, or s3://bucket/key."""
    etag: str
    """SHA-256 of the bytes of a local file; for an object, the store's ETag."""
    size: int
    """In bytes."""


class ScoreArgs(Part):
    """Score a labelled set by its loss: under a version, a model of its own, or, with folds, out of sample."""

    files: tuple[InputFile, ...]
    text_column: str | None = None
    label_column: str | None = None
    id_column: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    separator: str = "|"
    """Separates the labels of a text that has several."""
    labels: tuple[str, ...]
    numbered: bool = False
    """The labels of the data are the numbers of ``labels``, from 0."""
    multi_label: bool = False
    version: str | None = None
    """A version of the task that scores the rows."""
    classifier: EncoderUse | None = None
    """A published sequence classifier that scores the rows."""
    encoder: EncoderUse | None = None
    """Encoder that embeds the texts for the heads of the ``folds``."""
    folds: int = 0
    """Each row is scored by a head that was not trained on it. 0 means: scored by the version or classifier."""
    ranking: str = "loss"
    """How ``suspicion`` is computed: see ``tornio.scoring.ranking``."""
    seed: int = 0
    part_rows: int = 4096
    """Two windows of the engine: small enough that small data sets spread over several workers, too."""
    strict: bool = False
    """If true, a row that cannot be used ends the run instead of being set aside."""
    precision: str
    """Number format that the model computes in. It is fixed, so that a resumed run gives the same rows."""


class ScoreOutput(Part):
    """Where the scores are stored, and their summary."""

    scores: str
    """Folder of Parquet parts with one row per row of the input."""
    rejected: str
    """Folder of Parquet parts with file, line and reason of each row that could not be used."""
    report: str
    """The report, as a single HTML file."""
    parts: int
    rows: int
    rejected_rows: int
    first_rejected: str | None = None
    """File, line and reason of the first of them."""
    contradictions: int = 0
    """Number of texts that have different labels in different rows."""
    labels: tuple[str, ...]
    """In the order of the columns of ``probabilities``."""
    agreement: float
    """Share of the judged rows whose predicted labels equal the given ones."""
    mean_loss: float
    """Of the judged rows."""
    unjudged: int = 0
    """Number of rows that no model could judge, because no other text has their label. They come last."""
    unjudged_labels: tuple[str, ...] = ()
    truncated: int
    """Number of rows whose text was cut to the model's length."""
    ranking: str
    """The column to sort the rows by, largest first."""
    suspicion: str = "loss"
    """How that column is computed: see ``tornio.scoring.ranking``."""
    model: str


class PredictArgs(Part):
    """Predict the texts of files, or of the task's pool, with one model, and write each file with its predictions."""

    files: tuple[InputFile, ...] = ()
    pool_seq: int | None = None
    """Predict the pool up to this part, instead of files."""
    label_seq: int = 0
    """For the pool: place of the last tombstone in the label log, so that a deletion makes another run."""
    text_column: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    labels: tuple[str, ...]
    """Those of the model, in its order."""
    multi_label: bool = False
    version: str | None = None
    """A version of the task that predicts."""
    classifier: EncoderUse | None = None
    """A published sequence classifier that predicts."""
    probabilities: bool = False
    """Write the probability of each label."""
    top_k: int = 0
    """Write so many of the most probable labels."""
    least_certain_first: bool = False
    prefix: str = ""
    """Begins the names of the new columns."""
    format: str = "parquet"
    """Ending of the files that are written."""
    escape_formulas: bool = True
    """Make cells of CSV harmless that a spreadsheet would take for formulas."""
    part_rows: int = 4096
    strict: bool = False
    """If true, a row that cannot be used ends the run instead of being set aside."""
    precision: str
    """Number format that the model computes in. It is fixed, so that a resumed run gives the same rows."""


class PredictOutput(Part):
    """Where the predictions are stored, and their summary."""

    predicted: tuple[str, ...]
    """Key of the file that was written for each file of the data, in the same order."""
    rejected: str
    """Folder of Parquet parts with file, line and reason of each row that could not be used."""
    parts: int
    rows: int
    rejected_rows: int
    first_rejected: str | None = None
    """File, line and reason of the first of them."""
    labels: dict[str, int]
    """Number of rows that got each label."""
    mean_certainty: float
    """How sure the model is of a row, on average: see ``tornio.files.predicted.Answer``."""
    truncated: int
    """Number of rows of whose text only the beginning was read."""
    version: str
    """The version that predicted all rows, or the address of the model."""


class PartCount(Part):
    """One part of the input: at most ``part_rows`` rows, in the order of the input."""

    rows: int
    rejected: int
    file: int = Field(default=0, exclude_if=lambda file: not file)
    """Prediction runs: number of the file that the rows are of. A part of a score run may have rows of several."""


class ScoreInput(Document):
    """``runs/{run}/input.json``: the parts that the input was split into. Written last, when all parts are stored."""

    FORMAT: ClassVar[str] = "score-input"

    parts: tuple[PartCount, ...]
    labels: tuple[str, ...]
    first_rejected: str | None = Field(default=None, exclude_if=lambda first: first is None)
    """File, line and reason of the first row that could not be used."""
    contradictions: int = Field(default=0, exclude_if=lambda count: not count)
    """Number of texts that have different labels in different rows."""

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)
