"""Encoders, manifests and aliases: the parts of a model, and which version is served."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tornio.schemas.base import Document, Part, Timestamp
from tornio.schemas.trial import TrialTerms

Pooling = Literal["mean", "cls"]


class Blob(Part):
    """Content-addressed bytes, stored as ``blobs/{sha256}``."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)
    """In bytes."""


class EncoderUse(Part):
    """How a version uses its encoder: everything that changes an embedding, besides precision and text."""

    digest: str
    pooling: Pooling
    normalise: bool
    max_length: int
    layer: int = -1
    """The hidden layer that is pooled, counted from the end: -1 is the last. Not used where ``layers`` is given."""
    layers: tuple[int, ...] | None = Field(default=None, exclude_if=lambda layers: layers is None, min_length=1)
    """The hidden layers whose pooled vectors stand side by side, counted from the end. ``normalise`` scales each of
    them."""

    @property
    def pooled(self) -> tuple[int, ...]:
        """The hidden layers that an embedding is made of."""
        return (self.layer,) if self.layers is None else self.layers


class EncoderDocument(Document):
    """``encoders/{digest}.json``: a base model. The digest is computed from its files, so it identifies the weights."""

    FORMAT: ClassVar[str] = "encoder"

    digest: str
    source: str
    """Hub id or folder name that the model came from. Information only: nothing is loaded from there."""
    commit: str | None = None
    """The commit on the hub that ``source`` was resolved to, once."""
    architecture: str
    dimension: int
    """Width of an embedding."""
    pooling: Pooling
    normalise: bool
    """Whether embeddings are scaled to length one."""
    max_length: int
    """The largest number of tokens that the model accepts."""
    files: dict[str, Blob]
    parent: str | None = Field(default=None, exclude_if=lambda parent: parent is None)
    """Digest of the base model that this one was adapted from."""
    run: str | None = Field(default=None, exclude_if=lambda run: run is None)
    """The run that adapted it."""

    def use(self, layer: int, max_length: int) -> EncoderUse:
        """Return how to use the encoder with this layer and text length, limited to the model's own length."""
        return EncoderUse(
            digest=self.digest,
            layer=layer,
            pooling=self.pooling,
            normalise=self.normalise,
            max_length=min(max_length, self.max_length),
        )


class EncoderName(Document):
    """``encoders/names/{digest of the name}.json``: a base model that a user added to the store, under the name by
    which a task.yaml may refer to it. Adding another model under the same name moves the name."""

    FORMAT: ClassVar[str] = "encoder-name"

    name: str
    digest: str
    layer: int = -1
    """The hidden layer that a few-shot head learns from best, counted from the end."""
    added_at: Timestamp


class EncoderPin(Document):
    """``pins/{digest of the source}.json``: the encoder that a hub id, path or short name in a task's spec refers to.

    It is put if absent when the source is resolved for the first time, so that later runs embed with the same weights
    even if the hub has newer ones. Another commit is another source: ``name@revision``.
    """

    FORMAT: ClassVar[str] = "encoder-pin"

    source: str
    digest: str
    layer: int = -1


class Probes(Part):
    """Texts written for this purpose, and the model's correct outputs for them. They verify a loaded model."""

    texts: tuple[str, ...]
    logits: tuple[tuple[float, ...], ...]
    """float32, one row per text, one column per label."""
    tolerance: dict[str, float]
    """Largest allowed absolute difference of a logit, by the precision that the loader computes in."""


class ImportedFrom(Part):
    """How a version came that was not trained here."""

    who: str
    """Name of the API key."""
    why: str
    digest: str
    """SHA-256 of the tar that was sent."""
    task: str
    version: str
    """What the version was before, as its folder says."""


class Manifest(Document):
    """``versions/{version}.json``: an immutable checkpoint."""

    FORMAT: ClassVar[str] = "manifest"

    version: str
    workspace: str
    task: str
    kind: str
    """layered-few-shot, fine-tuned, ...: decides which loader reads the blobs."""
    why: str = ""
    """Why this kind of model was chosen, if the spec leaves it open."""
    generation: int
    iteration: int
    labels: tuple[str, ...]
    label_set_rev: int
    multi_label: bool
    encoder: EncoderUse | None = None
    blobs: dict[str, Blob]
    """File name in the model's folder -> blob."""
    metrics: dict[str, float] = {}
    """Measurements of the training itself. The scores on the hold-out are in the iteration."""
    counts: dict[str, int] = Field(default={}, exclude_if=lambda counts: not counts)
    """``training_texts``; ``training_labels`` (a text with several labels counts for each); ``holdout_imported`` and
    ``holdout_annotators``: the hold-out texts with a label at ``label_seq``, by where it comes from. Where CROWDLAB
    decided, ``consensus_texts``: those that it labelled; ``consensus_changed``: those with another label by majority or
    none."""
    taught_by: str | None = Field(default=None, exclude_if=lambda teacher: teacher is None)
    """Name of the teacher whose labels it learned from. None: it learned from labels of the log alone."""
    imported: ImportedFrom | None = Field(default=None, exclude_if=lambda imported: imported is None)
    """None: it was trained here."""
    thresholds: dict[str, float] = {}
    """With several labels per text: the least probability of a label that a text gets, by label; .5 for a label that is
    not here."""
    probes: Probes
    parent: str | None = None
    run: str
    """The run that trained the version."""
    label_seq: int
    pool_seq: int
    spec_rev: int
    seed: int
    software: dict[str, str]
    created_at: Timestamp


class Alias(Document):
    """``aliases/{alias}.json``: a movable name for a version. Written only with If-Match."""

    FORMAT: ClassVar[str] = "alias"

    alias: str
    version: str
    revision: int = Field(ge=1)
    """Number of moves so far, rollbacks included; it never decreases."""
    previous: str | None = None
    """The version before this move; replicas keep it loaded."""
    cause: str = "promotion"
    """promotion, rollback or manual."""
    who: str
    why: str
    outdated_labels: bool = Field(default=False, exclude_if=lambda outdated: not outdated)
    """Whether the version has the labels of an earlier generation, which every prediction says."""
    trial: TrialTerms | None = Field(default=None, exclude_if=lambda trial: trial is None)
    """Of ``candidate``: how replicas try it on live traffic. None: they do not."""
    moved_at: Timestamp
