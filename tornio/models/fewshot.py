"""The few-shot models: a linear head on one or several layers of a frozen encoder, which many tasks share."""

from __future__ import annotations

from pathlib import Path

from tornio.models.head import LinearHead
from tornio.models.headed import HeadedEncoder
from tornio.models.port import ReadingEncoder
from tornio.schemas.registry import EncoderUse


class FewShotModel(HeadedEncoder):
    """The ``Model`` of the kinds few-shot, on one layer, and layered-few-shot, on the last ones side by side.

    Its files are only the head (kilobytes); the manifest names the encoder and its layers.

    A label without a training example has a column too, with a probability near 0 (``training.fewshot``).
    """

    @property
    def shared_encoder(self) -> EncoderUse:
        return self.use

    def save(self, folder: Path) -> None:
        self.head.save(folder)

    @classmethod
    def load(cls, folder: Path, use: EncoderUse, encoder: ReadingEncoder) -> FewShotModel:
        """Load what ``save`` wrote. Raises UnfitCheckpoint (see ``LinearHead.load``)."""
        return cls(LinearHead.load(folder, encoder.dimension), use, encoder)
