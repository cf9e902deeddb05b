"""The one interface of models. Learning (``fit``) lives in ``tornio.training``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tornio.arrays import BoolVector, FloatMatrix
from tornio.spec import LabelSpec


@dataclass(frozen=True, slots=True)
class Embedded:
    """Texts as vectors. ``vectors``: float32 [n, dim]; ``truncated``: bool [n], the text was cut."""

    vectors: FloatMatrix
    truncated: BoolVector


@dataclass(frozen=True, slots=True)
class Scores:
    """``logits`` and ``probabilities``: float32 [n, labels]; ``truncated``: bool [n].

    Probabilities of a row sum to one, or, with several labels allowed, each stands for itself.
    """

    logits: FloatMatrix
    probabilities: FloatMatrix
    truncated: BoolVector


class TextEncoder(Protocol):
    """A frozen, shared base model."""

    @property
    def dimension(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> Embedded:
        """float32 [n, dim], in the order of ``texts``; n may be 0."""


class Model(Protocol):
    """A classifier with fixed labels."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def multi_label(self) -> bool: ...

    def score(self, texts: Sequence[str]) -> Scores:
        """Everything known of each text, in the order of ``texts``."""

    def predict_proba(self, texts: Sequence[str]) -> FloatMatrix:
        """float32 [n, labels]."""

    def embed(self, texts: Sequence[str]) -> FloatMatrix:
        """float32 [n, dim]."""

    def save(self, folder: Path) -> None:
        """Write the model's own files (safetensors and JSON); a frozen encoder is named, not copied."""


class ZeroShotModel(Protocol):
    """A teacher: the labels come with the request."""

    @property
    def name(self) -> str:
        """What its suggestions are signed with, ``teacher:...``."""

    def score(
        self, texts: Sequence[str], labels: Sequence[LabelSpec], templates: Sequence[str], multi_label: bool = False
    ) -> Scores:
        """[n, labels] in the order of ``labels``."""
