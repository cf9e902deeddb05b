"""Inputs and outputs of jobs: the ``args`` of a plan.json and the ``output`` of a result.json."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tornio.schemas.base import Part
from tornio.schemas.live import LiveReference
from tornio.schemas.registry import EncoderUse
from tornio.schemas.task import BatchItem, GateVerdict
from tornio.schemas.trial import AgainstCurrent


class TrainArgs(Part):
    """Train a candidate from a frozen view of the task. Seeds derive from task, generation and iteration."""

    generation: int
    iteration: int
    label_seq: int
    pool_seq: int
    spec_rev: int
    parent: str | None
    method: str = ""
    """The training method, if it is not the spec's."""


class TrainOutput(Part):
    version: str
    labels: dict[str, int]
    """Number of training texts per label. A text with several labels counts for each."""
    texts: int | None = None
    """Number of training texts. None in outputs of release 0.2."""
    metrics: dict[str, float] = {}
    kind: str = ""
    why: str = ""
    """Why this kind of model was chosen, if the spec leaves it open."""
    taught_by: str | None = None
    """Name of the teacher whose labels it learned from."""
    tally: dict[str, float] = {}
    """What this run asked of a chat model: requests, tokens, answers by kind. Empty for other teachers."""


class ImportArgs(Part):
    """Take in a model that was trained elsewhere, as a version of the task."""

    upload: str
    """Name of the upload, a tar: the SHA-256 of its bytes, and its ending."""
    size: int
    """In bytes."""
    who: str
    why: str
    generation: int
    iteration: int
    label_seq: int
    pool_seq: int
    spec_rev: int
    parent: str | None


class EvaluateArgs(Part):
    """Evaluate a version on the hold-out, against the served version and earlier ones."""

    version: str
    current: str | None
    rivals: tuple[str, ...]
    """The last promoted versions of the generation, without ``current``."""
    agree_with: str | None
    """The version with which the agreement on the stop set is measured."""
    label_seq: int
    pool_seq: int
    spec_rev: int


class EvaluateOutput(Part):
    verdict: GateVerdict
    holdout: dict[str, Any] = {}
    """The version's report: see ``tornio.evaluation.holdout_report``. Empty without labels."""
    rivals: dict[str, float] = {}
    """Accuracy (with several labels per text: exact match) of the other versions on the same hold-out."""
    changed: tuple[dict[str, Any], ...] = ()
    """Hold-out records for which the version and ``current`` differ: record_id, label, current, candidate."""
    agreement: float | None = None
    """Cohen's kappa of the two versions' predictions on the stop set."""
    signals: dict[str, float] = {}
    """What other stopping criteria measured on the stop set, by the criterion's name."""
    against: AgainstCurrent | None = None
    """How it compares with ``current``. None without one that has the same label set."""
    reference: LiveReference | None = Field(default=None, exclude_if=lambda reference: reference is None)
    """What live texts of the version are compared with. None without hold-out labels."""


class QueryArgs(Part):
    """Pick a batch. Records of earlier batches (number < this one) are excluded, answered or not."""

    batch: str
    number: int
    generation: int
    version: str | None
    """None means a cold start."""
    label_seq: int
    pool_seq: int
    spec_rev: int


class QueryOutput(Part):
    items: tuple[BatchItem, ...]
    """Empty if no record is left to ask for."""
    strategy: str
    agent: str | None = None
    why_not: str = ""
    """Why a teacher behind an endpoint gave no suggestions for the batch."""


class LabelArgs(Part):
    """Write the teacher's probability of every label for each record of the pool."""

    pool_seq: int
    spec_rev: int
    teacher: str = ""
    """Digest of the teacher. It makes another run of what release 0.1 did with the same pool and spec."""


class LabelOutput(Part):
    key: str
    """Folder of Parquet files, soft-labels: one for each part of the pool. It also holds the parts that later runs of
    the same teacher add."""
    records: int
    """Number of records that have soft labels."""
    agent: str
    """Name of the teacher."""
    without: int = 0
    """Number of records about which the teacher gave no usable answer."""
    tally: dict[str, float] = {}
    """What this run asked of a chat model: requests, tokens, answers by kind. Empty for other teachers."""


class AdaptArgs(Part):
    """Adapt a base model to the texts of the pool that are not held out, and publish the result under a name."""

    pool_seq: int
    label_seq: int
    """Labels up to here decide which texts are held out."""
    spec_rev: int
    base: EncoderUse
    """The base model; ``max_length`` is where texts are cut."""
    source: str
    """The name by which the user asked for the base model."""
    name: str
    """Name of the result."""
    objective: str
    """An entry of ``tornio.training.adapting.objectives``."""
    whole_words: bool = False
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int = 0


class PurgeArgs(Part):
    """Take the texts of all deleted records out of the store."""

    label_seq: int
    """Place of the last tombstone in the label log: the same deletions are the same run."""
    spec_rev: int
    """Not used. Controllers of other releases measure the tasks of all runs by their spec."""


class LearnedPart(Part):
    """A version that has learned from deleted records: see ``tornio.tasks.deletion.Learned``."""

    version: str
    labelled: int
    read: int


class PurgeOutput(Part):
    """What a purge changed. ``deleted``: records with a tombstone. ``records``: those of them whose text is gone since
    this run. The others are numbers of objects."""

    deleted: int
    records: int
    parts: int
    """Parts of the pool."""
    caches: int
    """Files of embeddings and of soft labels."""
    views: int
    """Files of texts that an augmentation has written."""
    score_runs: int
    """Runs over data that had a text of these records: score, predict and review-export."""
    answers: int
    """Answers of chat models."""
    versions: tuple[LearnedPart, ...]
    """The versions that have learned from deleted records, and still carry it."""
    encoders: tuple[str, ...]
    """Names of the base models that were adapted to texts of deleted records."""


class CurvePoint(Part):
    """One report of a training."""

    step: int
    epoch: int
    loss: float
    """Mean over the steps since the report before."""
    validation: float | None = None
    """Loss of the held-out texts, after the last step of an epoch."""


class AdaptOutput(Part):
    name: str
    """What ``classifier.encoder`` of a task.yaml says to use the result."""
    digest: str
    parent: str
    """Digest of the base model."""
    objective: str
    head: str
    """Where the masked-language head comes from. Empty if the objective has none."""
    texts: int
    """Number of texts that the training learned from."""
    held_out: int
    """Number of texts that only judged it. They are not those of the task's hold-out, which it does not see at all."""
    loss_before: float
    """Loss of the held-out texts under the base model, in nats: per hidden token, or per text (contrastive)."""
    loss_after: float
    """The same under the result."""
    metrics: dict[str, float] = {}
    curve: tuple[CurvePoint, ...] = ()
