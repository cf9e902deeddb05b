"""The embedding teacher: a text belongs to the label whose description it resembles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tornio.arrays import FloatMatrix
from tornio.models.head import sigmoid, softmax
from tornio.models.port import Scores, TextEncoder
from tornio.spec import LabelSpec

TEMPERATURE = 0.05
"""Cosine similarities are divided by this: sentence-transformers' models are trained with a scale of 20."""
HALF = 0.25
"""Several labels allowed: the similarity at which a label is as likely as not. Precise rather than complete, since a
wrong suggestion costs annotators more than none: with MiniLM on AG News .78 of what is given is right, .17 is found."""


def phrases(label: LabelSpec, templates: Sequence[str]) -> list[str]:
    """Each template filled with the label's name and, where it has one, with its description."""
    words = [label.name] if label.description is None else [label.name, label.description]
    return [template.replace("{}", word) for template in templates for word in words]


class EmbeddingZeroShot:
    """The ``ZeroShotModel`` over any encoder.

    A label is the mean of its phrases' embeddings, each of length one: measured on AG News .776 (names alone .624),
    on TREC .678 (.548). Logits are cosine similarities over ``TEMPERATURE``; with several labels allowed, what they
    exceed ``HALF`` by. Source of averaging over templates: Radford et al. (2021), "Learning Transferable Visual
    Models From Natural Language Supervision", section 3.1.4.
    """

    def __init__(self, encoder: TextEncoder, name: str) -> None:
        """``name``: of the encoder, for the signature of suggestions."""
        self._encoder = encoder
        self._name = f"teacher:embedding:{name}"

    @property
    def name(self) -> str:
        return self._name

    def score(
        self, texts: Sequence[str], labels: Sequence[LabelSpec], templates: Sequence[str], multi_label: bool = False
    ) -> Scores:
        prototypes = self._prototypes(labels, templates)
        embedded = self._encoder.embed(texts)
        similarity = _unit(embedded.vectors) @ prototypes.T
        logits = np.asarray((similarity - HALF if multi_label else similarity) / TEMPERATURE, dtype=np.float32)
        return Scores(logits, sigmoid(logits) if multi_label else softmax(logits), embedded.truncated)

    def _prototypes(self, labels: Sequence[LabelSpec], templates: Sequence[str]) -> FloatMatrix:
        """float32 [labels, dim], rows of length one."""
        groups = [phrases(label, templates) for label in labels]
        vectors = _unit(self._encoder.embed([phrase for group in groups for phrase in group]).vectors)
        ends = np.cumsum([len(group) for group in groups])[:-1]
        return _unit(np.stack([part.mean(axis=0) for part in np.split(vectors, ends)]))


def _unit(vectors: FloatMatrix) -> FloatMatrix:
    """Rows scaled to length one; one of length zero stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
