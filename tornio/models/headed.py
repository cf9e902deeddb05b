"""What every classifier of ours is: an encoder and a linear head on its vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tornio.arrays import FloatMatrix
from tornio.errors import UnfitCheckpoint
from tornio.models.head import LinearHead
from tornio.models.port import Scores, TextEncoder
from tornio.schemas.registry import EncoderUse


class HeadedEncoder:
    """The parts of the ``Model`` interface that do not depend on whose the encoder is."""

    def __init__(self, head: LinearHead, use: EncoderUse, encoder: TextEncoder) -> None:
        if head.weight.shape[1] != encoder.dimension:
            raise UnfitCheckpoint(
                f"the head takes vectors of {head.weight.shape[1]} numbers, its encoder gives {encoder.dimension}"
            )
        self.head = head
        self.use = use
        self._encoder = encoder

    @property
    def labels(self) -> tuple[str, ...]:
        return self.head.labels

    @property
    def multi_label(self) -> bool:
        return self.head.multi_label

    def score(self, texts: Sequence[str]) -> Scores:
        embedded = self._encoder.embed(texts)
        scores = self.score_vectors(embedded.vectors)
        return Scores(scores.logits, scores.probabilities, embedded.truncated)

    def score_vectors(self, vectors: FloatMatrix) -> Scores:
        """Scores of float32 [n, dim] embeddings of this model's encoder, used as ``use`` says.

        ``truncated`` is all false: whoever embedded the texts knows.
        """
        logits = self.head.logits(vectors)
        return Scores(logits, self.head.probabilities(logits), np.zeros(len(vectors), dtype=bool))

    def predict_proba(self, texts: Sequence[str]) -> FloatMatrix:
        return self.score(texts).probabilities

    def embed(self, texts: Sequence[str]) -> FloatMatrix:
        return self._encoder.embed(texts).vectors
