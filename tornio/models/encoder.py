"""A frozen transformers model that maps texts to vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tornio.arrays import FloatMatrix
from tornio.models.device import Precision
from tornio.models.device import precision as precision_for
from tornio.models.engine import Engine, engine_for
from tornio.models.port import Embedded, Reading
from tornio.models.pretrained import load_body
from tornio.models.tokens import Tokenizer, joined
from tornio.models.windows import WINDOW, one_ahead, windows
from tornio.schemas.registry import EncoderUse, Pooling


def load_engine(folder: Path, precision: Precision) -> Engine:
    """Load the engine of an encoder's folder; see ``load_body``."""
    return engine_for(load_body(folder, precision))


class Encoder:
    """The ``TextEncoder`` over a transformers folder. Thread-safe.

    In float32 its vectors equal those of a plain forward pass within 1e-5, whatever texts share the batch.
    """

    def __init__(
        self,
        folder: Path,
        *,
        pooling: Pooling,
        normalise: bool,
        max_length: int,
        layers: Sequence[int] = (-1,),
        precision: str = "auto",
        engine: Engine | None = None,
    ) -> None:
        """``engine``: the engine of this folder if it is loaded already; encoders of one model may share it.

        ``precision``: the number format of an engine that is loaded here. ``layers``: the hidden layers that are
        pooled, as ``Engine.pooled`` counts them. Their vectors stand side by side, and ``normalise`` scales each to
        length one.
        """
        self.precision = precision_for(precision)
        self._engine = load_engine(folder, self.precision) if engine is None else engine
        self._tokenizer = Tokenizer(folder, max_length)
        self._pooling = pooling
        self._layers = tuple(layers)
        self._normalise = normalise

    @property
    def dimension(self) -> int:
        return self._engine.hidden_size * len(self._layers)

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Return float32 [n, dim], in the order of ``texts``; n may be 0.

        Many texts are processed in windows of some thousand, and the next window is tokenised meanwhile.
        """
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        readings = list[Reading]()
        parts = windows(len(texts), WINDOW)
        for rows, tokens in zip(parts, one_ahead(lambda rows: self._tokenizer.encode(texts[rows]), parts), strict=True):
            vectors[rows] = self._engine.pooled(tokens, self._pooling, self._layers)
            readings.append(tokens.reading)
            if self._normalise:
                _normalise(vectors[rows], len(self._layers))
        reading = joined(readings)
        return Embedded(vectors, reading.truncated, reading)

    def read(self, texts: Sequence[str]) -> Reading:
        """Return what the tokenizer alone makes of the texts, in their order."""
        return joined([self._tokenizer.encode(texts[rows]).reading for rows in windows(len(texts), WINDOW)])


def _normalise(vectors: FloatMatrix, layers: int) -> None:
    """Scale each layer's part of each vector to length 1, in place. A part of length 0 stays as it is."""
    for part in np.split(vectors, layers, axis=1):
        part /= np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12)


def encoder_from(folder: Path, use: EncoderUse, precision: str = "auto", engine: Engine | None = None) -> Encoder:
    """Return the encoder in this folder, used as ``use`` specifies."""
    return Encoder(
        folder,
        pooling=use.pooling,
        normalise=use.normalise,
        max_length=use.max_length,
        layers=use.pooled,
        precision=precision,
        engine=engine,
    )
