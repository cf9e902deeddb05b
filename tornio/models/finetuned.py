"""The fine-tuned model: an encoder that was trained together with its head."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tornio.models.encoder import encoder_from
from tornio.models.folder import is_tokenizer_file
from tornio.models.head import LinearHead
from tornio.models.headed import HeadedEncoder
from tornio.models.port import ReadingEncoder
from tornio.schemas.registry import EncoderUse


class FineTunedModel(HeadedEncoder):
    """The ``Model`` of kind fine-tuned. Its folder is that of a transformers encoder, which any tool reads, plus the
    two files of the head. It is as large as its base (90 MB for MiniLM).

    Logits are ``head(encoder(texts))``. The last layer is pooled as the base pools, and not normalised but by the
    training method contrastive. A label without a training example has a column too, with a probability near 0.
    """

    def __init__(self, folder: Path, head: LinearHead, use: EncoderUse, encoder: ReadingEncoder) -> None:
        """``use``: how the encoder is used; its digest is that of the base, which documents the model's origin."""
        super().__init__(head, use, encoder)
        self._folder = folder

    @property
    def shared_encoder(self) -> None:
        return None

    def save(self, folder: Path) -> None:
        """Copy the model's files."""
        for path in self._folder.iterdir():
            shutil.copyfile(path, folder / path.name)

    def with_metrics(
        self, metrics: Mapping[str, float], thresholds: Mapping[str, float] | None = None
    ) -> FineTunedModel:
        """Return the same model with the metrics of its training, and with other thresholds if any are given."""
        head = replace(self.head, metrics=metrics, thresholds=self.thresholds if thresholds is None else thresholds)
        return FineTunedModel(self._folder, head, self.use, self._encoder)

    @classmethod
    def load(cls, folder: Path, use: EncoderUse, precision: str = "auto") -> FineTunedModel:
        """Return the model in this folder. The folder must be kept as long as the model is used.

        Raises UnfitCheckpoint (see ``LinearHead.load``), InvalidInput for a folder without a usable encoder.
        """
        encoder = encoder_from(folder, use, precision)
        return cls(folder, LinearHead.load(folder, encoder.dimension), use, encoder)


def use_of(base: EncoderUse) -> EncoderUse:
    """Return how a fine-tuned model uses the encoder made from this base: the last layer, not normalised."""
    return base.evolve(layer=-1, layers=None, normalise=False)


def write_model(folder: Path, body: Any, head: LinearHead, base: Path) -> None:
    """Write a model's files: this transformers body, the head, and the tokenizer of the base."""
    body.save_pretrained(folder, safe_serialization=True)
    head.save(folder)
    for path in base.iterdir():
        if is_tokenizer_file(path.name):
            shutil.copyfile(path, folder / path.name)
