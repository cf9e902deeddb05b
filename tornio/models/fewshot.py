"""The few-shot model: a linear head on a frozen encoder, which many tasks share."""

from __future__ import annotations

from pathlib import Path

from tornio.models.head import LinearHead
from tornio.models.headed import HeadedEncoder
from tornio.models.port import TextEncoder
from tornio.schemas.registry import EncoderUse


class FewShotModel(HeadedEncoder):
    """The ``Model`` of kind few-shot. Its files are only the head (kilobytes); the manifest names the encoder.

    A label without a training example has a column too, with a probability near 0 (``training.fewshot``).
    """

    @property
    def shared_encoder(self) -> EncoderUse:
        return self.use

    def save(self, folder: Path) -> None:
        self.head.save(folder)

    @classmethod
    def load(cls, folder: Path, use: EncoderUse, encoder: TextEncoder) -> FewShotModel:
        """Load what ``save`` wrote. Raises UnfitCheckpoint (see ``LinearHead.load``)."""
        return cls(LinearHead.load(folder, encoder.dimension), use, encoder)
