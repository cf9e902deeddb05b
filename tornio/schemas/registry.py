"""Encoders, manifests and aliases: what a model is made of, and which one serves."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tornio.schemas.base import Document, Part, Timestamp

Pooling = Literal["mean", "cls"]


class Blob(Part):
    """Content-addressed bytes, stored as ``blobs/{sha256}``."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)
    """Bytes."""


class EncoderUse(Part):
    """How a version uses its encoder: all that changes an embedding, beside precision and text."""

    digest: str
    pooling: Pooling
    normalise: bool
    max_length: int
    layer: int = -1
    """Which hidden layer is pooled, counted from the end: -1 is the last."""


class EncoderDocument(Document):
    """``encoders/{digest}.json``: a base model. The digest is that of its files, so it names the weights."""

    FORMAT: ClassVar[str] = "encoder"

    digest: str
    source: str
    """Hub id or folder name it came from; information only, nothing is loaded from there."""
    commit: str | None = None
    """The hub commit that ``source`` was resolved to, once."""
    architecture: str
    dimension: int
    """Width of an embedding."""
    pooling: Pooling
    normalise: bool
    """Whether embeddings are scaled to length one."""
    max_length: int
    """Tokens: the most that the model takes."""
    files: dict[str, Blob]

    def use(self, layer: int, max_length: int) -> EncoderUse:
        """How to use it with this layer and text length; the model's own limit where that is smaller."""
        return EncoderUse(
            digest=self.digest,
            layer=layer,
            pooling=self.pooling,
            normalise=self.normalise,
            max_length=min(max_length, self.max_length),
        )


class EncoderName(Document):
    """``encoders/names/{digest of the name}.json``: a base model that was put into the store on purpose, under the
    name that a task.yaml may call it by; moved by whoever adds another under this name."""

    FORMAT: ClassVar[str] = "encoder-name"

    name: str
    digest: str
    layer: int = -1
    """The hidden layer that a few-shot head learns from best, counted from the end."""
    added_at: Timestamp


class EncoderPin(Document):
    """``pins/{digest of the source}.json``: which encoder a task's spec means by a hub id, a path or a short name.

    Put if absent by whoever resolves it first, so that later runs embed with the same weights although the hub
    has moved on. Another commit is another source: ``name@revision``.
    """

    FORMAT: ClassVar[str] = "encoder-pin"

    source: str
    digest: str
    layer: int = -1


class Probes(Part):
    """Texts written for the purpose, and what the model must answer to prove that it is what was trained."""

    texts: tuple[str, ...]
    logits: tuple[tuple[float, ...], ...]
    """float32, one row a text, one column a label."""
    tolerance: dict[str, float]
    """Largest allowed absolute difference of a logit, by the precision that the loader computes in."""


class Manifest(Document):
    """``versions/{version}.json``: an immutable checkpoint."""

    FORMAT: ClassVar[str] = "manifest"

    version: str
    workspace: str
    task: str
    kind: str
    """few-shot, fine-tuned, ...: which loader reads the blobs."""
    why: str = ""
    """Why it is of this kind, where the spec leaves that open."""
    generation: int
    iteration: int
    labels: tuple[str, ...]
    label_set_rev: int
    multi_label: bool
    encoder: EncoderUse | None = None
    blobs: dict[str, Blob]
    """File name in the model's folder -> blob."""
    metrics: dict[str, float] = {}
    thresholds: dict[str, float] = {}
    probes: Probes
    parent: str | None = None
    run: str
    """The run that trained it."""
    label_seq: int
    pool_seq: int
    spec_rev: int
    seed: int
    software: dict[str, str]
    created_at: Timestamp


class Alias(Document):
    """``aliases/{alias}.json``: a movable name for a version, moved only with If-Match."""

    FORMAT: ClassVar[str] = "alias"

    alias: str
    version: str
    revision: int = Field(ge=1)
    """Counts every move, rollbacks too: it never goes back."""
    previous: str | None = None
    """The version before this move; replicas keep it resident."""
    cause: str = "promotion"
    """promotion, rollback or manual."""
    who: str
    why: str
    moved_at: Timestamp
