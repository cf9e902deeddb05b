"""The embedding teacher: a text gets the label whose description it is most similar to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tornio.arrays import FloatMatrix
from tornio.models.head import sigmoid, softmax
from tornio.models.port import Scores, TextEncoder
from tornio.spec import LabelSpec

TEMPERATURE = 0.05
"""Cosine similarities are divided by this; sentence-transformers' models are trained with a scale of 20."""
HALF = 0.25
"""In multi-label tasks: the similarity at which a label has probability 0.5. It favours precision, since a wrong
suggestion costs annotators more than a missing one: with MiniLM on AG News precision is .78 and recall .17."""


def phrases(label: LabelSpec, templates: Sequence[str]) -> list[str]:
    """Return each template filled with the label's name and, if it has one, with its description."""
    names = [label.name] if label.description is None else [label.name, label.description]
    return [template.replace("{}", name) for template in templates for name in names]


class EmbeddingZeroShot:
    """The ``ZeroShotModel`` over any encoder.

    A label is the mean of the embeddings of its phrases, each normalised to length one. Logits are cosine similarities
    divided by ``TEMPERATURE``; with several labels allowed, ``HALF`` is subtracted first. Source of averaging over
    templates: Radford et al. (2021), "Learning Transferable Visual Models From Natural Language Supervision", section
    3.1.4.
    """

    def __init__(self, encoder: TextEncoder, name: str) -> None:
        """``name``: name of the encoder, which the suggestions carry."""
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
        """Return float32 [labels, dim], rows of length one."""
        groups = [phrases(label, templates) for label in labels]
        vectors = _unit(self._encoder.embed([phrase for group in groups for phrase in group]).vectors)
        ends = np.cumsum([len(group) for group in groups])[:-1]
        return _unit(np.stack([part.mean(axis=0) for part in np.split(vectors, ends)]))


def _unit(vectors: FloatMatrix) -> FloatMatrix:
    """Scale each row to length one. A row of length zero stays as it is."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
