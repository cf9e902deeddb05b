"""Runs: the requests for them, and their state."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from tornio.api.base import MIB, Answer, Request, TaskName
from tornio.api.uploads import UPLOAD
from tornio.errors import InvalidInput

RUN_PATTERN = r"[a-z][a-z0-9-]{0,99}"
"""Pattern of the id of a run: job and digest."""
RUN_FILE_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}"
"""Pattern of the name of a file of a result."""
FILE_BYTES = 8 * MIB
"""Most bytes of a file of a result in one answer."""
MAX_TOP = 20
"""Most rows of a result that are shown before it is fetched."""
MAX_RUNS = 500
"""Most runs in one answer."""
State = Literal["waiting", "running", "done", "failed", "cancelled"]


class RunRequest(Request):
    """What a user asks of a job. A subclass names the job, and has one field for each choice that the user has.

    The command line makes one option of each field, with its description as the help.
    """

    job: str

    def check_on_cluster(self, task: TaskName) -> None:
        """Raises InvalidInput for a request that the cluster cannot meet, because it sees less than this machine."""


def _is_on_cluster(data: str) -> bool:
    """Whether a run on the cluster can read this data: it is in S3, or an upload."""
    bucket, _, key = data.removeprefix("s3://").partition("/")
    return data.startswith(UPLOAD) or (data.startswith("s3://") and bool(bucket and key))


class ScoreRequest(RunRequest):
    """Score a labelled data set by its loss, on the cluster. The same request again does only what is missing."""

    job: Literal["score"] = "score"
    data: str = Field(
        max_length=2000,
        description="Parquet, CSV, TSV, JSON lines or Arrow: a file, a folder of files, or a folder that `datasets` "
        "saved, as a path or s3://bucket/key; or hub:NAME[SPLIT]. A run on the cluster reads s3://, or one file, which "
        "the command sends there first.",
    )
    model: str | None = Field(
        None,
        max_length=500,
        description="Alias or version of the task, or a sequence classifier: hub id, s3:// folder, or, without a "
        "server, path. Default with a task: current.",
    )
    folds: int = Field(
        0,
        ge=0,
        le=100,
        description="Split the rows into this many folds, and score each row by a model trained on the other folds. "
        "Default without task and model: 5.",
    )
    ranking: str | None = Field(
        None,
        max_length=100,
        description="What the rows are sorted by: pooled-loss, loss, normalized-margin, confidence-weighted-entropy "
        "or confident-learning. Default: pooled-loss with folds, else loss.",
    )
    labels: tuple[str, ...] = Field(
        (), description="Labels of a run without a task. Default: the labels that the data has. A task sets its own."
    )
    multi_label: bool = Field(False, description="Without a task: a text may have several labels.")
    text_column: str | None = Field(
        None,
        description="Column that holds the text. Default: the first that the file has of text, texts, content, "
        "message, body, sentence, comment, review.",
    )
    label_column: str | None = Field(
        None,
        description="Column that holds the label. Default: the first that the file has of label, labels, category, "
        "class.",
    )
    id_column: str | None = Field(None, description="Column that holds the id. Default: record_id or id, if present.")
    separator: str = Field("|", min_length=1, description="Separates the labels of a text that has several.")
    encoding: str | None = Field(None, description="Encoding of a CSV or JSON file. Default: UTF-8.")
    delimiter: str | None = Field(
        None, description="Delimiter of the columns of a CSV. Default: determined from the file."
    )
    encoder: str | None = Field(
        None, max_length=500, description="Without a task: base model to use with folds. Default: minilm."
    )
    max_length: int | None = Field(
        None, ge=8, description="Without a task: number of tokens after which a text is cut. Default: 256."
    )
    part_rows: int | None = Field(
        None, ge=1, le=10_000, description="Rows that are scored together as one part of the work. Default: 4096."
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed for the folds.")
    strict: bool = Field(False, description="End at the first row that cannot be used, instead of putting it aside.")

    def check_on_cluster(self, task: TaskName) -> None:
        if not _is_on_cluster(self.data):
            raise InvalidInput(
                f"{self.data} is neither in S3 nor an upload, and a run on the cluster reads nothing else. Write "
                f"s3://bucket/key, or send the file first (the command line does), or score it on this machine: tornio "
                f"score --task {task} --data {self.data}"
            )


class PredictRequest(RunRequest):
    """Predict the texts of a large data set, or of the task's own pool, on the cluster, with one version for all rows.

    The same request again does only what is missing.
    """

    job: Literal["predict"] = "predict"
    data: str | None = Field(
        None,
        max_length=2000,
        description="Parquet, CSV, TSV, JSON lines or Arrow: a file or a folder of files as s3://bucket/key, or one "
        "file, which the command sends there first.",
    )
    pool: bool = Field(False, description="Predict the texts of the task's pool, instead of --data.")
    version: str | None = Field(
        None,
        max_length=200,
        description="Alias or version of the task. It is looked up once, when the run is asked for. Default: current.",
    )
    model: str | None = Field(
        None,
        max_length=500,
        description="Instead of a version: a sequence classifier that names its classes, as hub id or s3:// folder.",
    )
    max_length: int | None = Field(
        None, ge=8, description="With --model: number of tokens after which a text is cut. Default: 256."
    )
    text_column: str | None = Field(
        None,
        description="Column that holds the text. Default: the first that the file has of text, texts, content, "
        "message, body, sentence, comment, review.",
    )
    encoding: str | None = Field(None, description="Encoding of a CSV or JSON file. Default: UTF-8.")
    delimiter: str | None = Field(
        None, description="Delimiter of the columns of a CSV. Default: determined from the file."
    )
    format: Literal["parquet", "csv", "tsv", "jsonl"] | None = Field(
        None, description="Format of what is written. Default: that of the data, and parquet for any other data."
    )
    probabilities: bool = Field(False, description="Write the probability of every label.")
    top_k: int = Field(0, ge=0, le=1000, description="Write this many of the most probable labels.")
    sort: Literal["file", "least-certain"] = Field(
        "file", description="Order of the rows of each file that is written. least-certain: the least certain first."
    )
    prefix: str = Field("", max_length=100, description="Begins the names of the new columns.")
    no_escape_formulas: bool = Field(
        False, description="Write cells of CSV as they are, also those that a spreadsheet takes for formulas."
    )
    part_rows: int | None = Field(
        None, ge=1, le=10_000, description="Rows that are predicted together as one part of the work. Default: 4096."
    )
    strict: bool = Field(False, description="End at the first row that cannot be used, instead of putting it aside.")

    def check_on_cluster(self, task: TaskName) -> None:
        if self.data is not None and not _is_on_cluster(self.data):
            raise InvalidInput(
                f"{self.data} is neither in S3 nor an upload, and a run on the cluster reads nothing else. Write "
                f"s3://bucket/key, or send the file first (the command line does), or classify it from this machine: "
                f"tornio predict {task} FILE --output OUT"
            )


class LabelRequest(RunRequest):
    """Let the teacher label all texts of the task's pool, on the cluster."""

    job: Literal["label"] = "label"


class AdaptRequest(RunRequest):
    """Adapt a base model to the texts of the task's pool, without labels. The result is a base model with a name.

    The task's hold-out does not take part.
    """

    job: Literal["adapt"] = "adapt"
    name: str = Field(
        min_length=1, max_length=200, description="Name of the result, which no other base model of the bucket has."
    )
    base: str | None = Field(
        None, max_length=500, description="Base model to start from. Default: the task's classifier.encoder."
    )
    objective: Literal["masked-language", "contrastive"] = Field(
        "masked-language",
        description="masked-language: predict hidden words; for models that are fine-tuned afterwards. contrastive: "
        "tell texts apart (SimCSE); for models that are used frozen.",
    )
    whole_words: bool = Field(False, description="With masked-language: hide whole words instead of single tokens.")
    epochs: int = Field(3, ge=1, le=1000, description="Passes over the texts, at most.")
    batch_size: int = Field(64, ge=2, le=4096, description="Texts of one step, over all workers together.")
    learning_rate: float | None = Field(
        None, gt=0, le=1, description="Highest learning rate. Default: 1e-4 (masked-language), 3e-5 (contrastive)."
    )
    max_length: int = Field(128, ge=8, description="Number of tokens after which a text is cut.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed for batches, masks and dropout.")


class CompareRequest(RunRequest):
    """Compare training methods on the task's labels: what each scores with how many of them."""

    job: Literal["compare"] = "compare"
    methods: tuple[str, ...] = Field(("supervised",), description="Training methods. Default: supervised.")
    kinds: tuple[str, ...] = Field(
        ("few-shot", "fine-tuned"),
        description="Kinds of model that each method makes, if it can. Default: few-shot,fine-tuned.",
    )
    encoders: tuple[str, ...] = Field((), description="Base models. Default: the task's.")
    sizes: tuple[str, ...] = Field(
        ("8", "16", "32", "64"), description="Numbers of labelled texts to learn from. Default: 8,16,32,64."
    )
    per_class: bool = Field(False, description="The sizes are those of each class, and not of all together.")
    seeds: int = Field(3, ge=1, le=50, description="How often each training is repeated, on other texts each time.")


class SimulateRequest(RunRequest):
    """Replay query strategies on the task's labels: what each would have saved, and when it would have stopped."""

    job: Literal["simulate"] = "simulate"
    strategies: tuple[str, ...] = Field(
        ("breaking-ties",),
        description="Query strategies. random is always there, too. Default: breaking-ties.",
    )
    cold_starts: tuple[str, ...] = Field(
        ("random",), description="What picks the first batch, for each strategy. Default: random."
    )
    kinds: tuple[str, ...] = Field(("few-shot",), description="Kinds of model. Default: few-shot.")
    batch_sizes: tuple[str, ...] = Field(("20",), description="Labels of a batch. Default: 20.")
    budget: int = Field(200, ge=8, le=1_000_000, description="Labels that each replay may ask for.")
    seeds: int = Field(5, ge=1, le=50, description="How often each replay is repeated, from another first batch.")


class PurgeRequest(RunRequest):
    """Take the texts of all deleted records out of the store for ever, and name the versions that learned from them."""

    job: Literal["purge"] = "purge"


class RunProgressOut(Answer):
    """How far the attempt is: ``done`` of ``total`` in ``unit``, at this ``stage``. ``total`` None: not known."""

    stage: str
    done: int
    total: int | None
    unit: str


class RunOut(Answer):
    """A run. ``asked_by``: the user who asked for it; None for a run of the loop.

    State ``waiting``: the run waits for its first attempt, or, if it has an ``error``, for the next one. ``why``: what
    else keeps it from going on.
    """

    run: str
    job: str
    state: State
    attempt: int
    """Number of the last attempt that has begun. 0: none has."""
    asked_by: str | None = None
    asked_at: datetime | None = None
    progress: RunProgressOut | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None
    why: str | None = None
    output: dict[str, Any] | None = None
    """The result, once the run is done."""


class RunRows(Answer):
    """The first rows of a result, as text. Without columns, the job has no rows, or an earlier release did the run."""

    columns: list[str] = []
    rows: list[list[str]] = []


class RunFileOut(Answer):
    """A file of the result. ``size``: in bytes. ``etag`` changes with its content; whoever gets the file names it."""

    name: str = Field(pattern=f"^{RUN_FILE_PATTERN}$")
    size: int
    etag: str

    @property
    def place(self) -> str:
        """Where the file is below the folder of the run. One of a folder has its name after the first dash."""
        return self.name.replace("-", "/", 1)


class RunFiles(Answer):
    files: list[RunFileOut]
    """Those of a table that is stored in parts are numbered in their order."""


class Runs(Answer):
    runs: list[RunOut]
    """Newest first."""
