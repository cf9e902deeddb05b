"""The interfaces of models. Training is in ``tornio.training``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tornio.arrays import BoolVector, FloatMatrix, IntArray
from tornio.schemas.registry import EncoderUse
from tornio.spec import LabelSpec


@dataclass(frozen=True, slots=True)
class Reading:
    """What a tokenizer makes of texts. ``tokens``: int64 [n], those that the model reads, special ones included;
    ``unknown``: bool [n], whether one of them stands for something that is not in the vocabulary; ``truncated``: bool
    [n], whether the text was cut."""

    tokens: IntArray
    unknown: BoolVector
    truncated: BoolVector


@dataclass(frozen=True, slots=True)
class Embedded:
    """Texts as vectors. ``vectors``: float32 [n, dim]; ``truncated``: bool [n], whether the text was cut.

    ``reading``: None where the texts were not tokenised, as with cached embeddings.
    """

    vectors: FloatMatrix
    truncated: BoolVector
    reading: Reading | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """``logits`` and ``probabilities``: float32 [n, labels]; ``truncated``: bool [n], whether the text was cut.

    The probabilities of a row sum to one or, with several labels allowed, are independent of each other. A teacher may
    have none for a text: then its row is NaN. ``tally``: counts of how they were made, which add up over calls; empty
    for a model of this process. ``reading``: None where it is not known.
    """

    logits: FloatMatrix
    probabilities: FloatMatrix
    truncated: BoolVector
    tally: Mapping[str, float] = field(default_factory=dict)
    reading: Reading | None = None


class TextEncoder(Protocol):
    """A frozen base model that many models share."""

    @property
    def dimension(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Return float32 [n, dim], in the order of ``texts``; n may be 0."""


class ReadingEncoder(TextEncoder, Protocol):
    """An encoder whose tokenizer can be asked alone."""

    def read(self, texts: Sequence[str]) -> Reading:
        """Return what the tokenizer alone makes of the texts, in their order."""


class Model(Protocol):
    """A classifier with fixed labels."""

    thresholds: Mapping[str, float]
    """With several labels allowed, the least probability of a label that a text gets, by label; .5 for the others. The
    loader sets it from the manifest."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def multi_label(self) -> bool: ...

    @property
    def shared_encoder(self) -> EncoderUse | None:
        """How the model uses an encoder that it shares with others, so that cached embeddings serve it.

        None: its encoder is its own, and only it can embed texts for itself.
        """

    @property
    def linear(self) -> bool:
        """Whether it is a linear head on the vectors that ``embed`` gives."""

    def score(self, texts: Sequence[str]) -> Scores:
        """Return logits, probabilities and truncation of each text, in the order of ``texts``."""

    def score_vectors(self, vectors: FloatMatrix) -> Scores:
        """The same of float32 [n, dim] vectors as ``embed`` gives them; ``truncated`` is all False."""

    def sample_vectors(self, vectors: FloatMatrix, passes: int, seed: int) -> NDArray[np.float32]:
        """float32 [passes, n, labels]: probabilities of stochastic passes over vectors as ``embed`` gives them."""

    def predict_proba(self, texts: Sequence[str]) -> FloatMatrix:
        """Return float32 [n, labels]."""

    def embed(self, texts: Sequence[str]) -> FloatMatrix:
        """Return float32 [n, dim]."""

    def read(self, texts: Sequence[str]) -> Reading:
        """Return what the tokenizer alone makes of the texts, in their order."""

    def save(self, folder: Path) -> None:
        """Write the model's own files (safetensors and JSON). A frozen encoder is referred to by name, not copied."""


@runtime_checkable
class Asking(Protocol):
    """A teacher that asks a server, which costs something: it is said before, and it takes long."""

    def estimate(self, texts: Sequence[str], labels: Sequence[LabelSpec], multi_label: bool) -> object:
        """Return what asking about these texts would cost, for people as ``str``."""

    def ask(
        self,
        texts: Sequence[str],
        labels: Sequence[LabelSpec],
        multi_label: bool = False,
        done: Callable[[int], None] = ...,
    ) -> Scores:
        """As ``ZeroShotModel.score``. ``done``: called with the number of texts so far."""


class ZeroShotModel(Protocol):
    """A teacher: a model whose labels are given with each request."""

    @property
    def name(self) -> str:
        """The name that its suggestions carry, ``teacher:...``."""

    def score(
        self, texts: Sequence[str], labels: Sequence[LabelSpec], templates: Sequence[str], multi_label: bool = False
    ) -> Scores:
        """Return scores [n, labels] in the order of ``labels``."""
