"""The data sets of the benchmarks: texts and labels from the folder in TORNIO_DATA, and MiniLM's embeddings of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy.stats import t

from tornio.arrays import FloatMatrix
from tornio.models.encoder import Encoder
from tornio.models.loading import LAYERS_POOLED
from tornio.models.sources import MINILM, EncoderSource, resolve_encoder

DATA = Path(os.environ.get("TORNIO_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
Labels = list[tuple[str, ...]]


@dataclass(frozen=True)
class Texts:
    """Texts with the labels of each."""

    texts: list[str]
    labels: Labels

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted({name for labels in self.labels for name in labels}))

    def drawn(self, size: int, seed: int) -> Texts:
        """Return so many rows, drawn at random without replacement; all if there are not more."""
        rows = np.random.default_rng(seed).permutation(len(self))[:size]
        return Texts([self.texts[row] for row in rows], [self.labels[row] for row in rows])

    def of_each(self, size: int, seed: int) -> Texts:
        """Return so many rows of each label, drawn at random without replacement; all if there are not more.

        Each text has one label.
        """
        mixed, counts, rows = self.drawn(len(self), seed), dict.fromkeys(self.names, 0), []
        for row, (name,) in enumerate(mixed.labels):
            counts[name] += 1
            if counts[name] <= size:
                rows.append(row)
        return Texts([mixed.texts[row] for row in rows], [mixed.labels[row] for row in rows])

    def without(self, label: str) -> Texts:
        """Return the rows that do not have this label."""
        rows = [row for row, labels in enumerate(self.labels) if label not in labels]
        return Texts([self.texts[row] for row in rows], [self.labels[row] for row in rows])


def read(dataset: str, part: str) -> Texts:
    """Return one file of a data set, such as ``read("trec", "test")``."""
    table = pq.read_table(DATA / dataset / f"{part}.parquet")
    labels = table["label"].to_pylist()
    several = bool(labels) and isinstance(labels[0], list)
    return Texts(table["text"].to_pylist(), [tuple(row) if several else (row,) for row in labels])


def base() -> EncoderSource:
    return resolve_encoder(MINILM)


LAYERED = tuple(range(-LAYERS_POOLED, 0))
"""The layers of MiniLM that a few-shot head learns from."""


def encoder(layers: Sequence[int] = LAYERED) -> Encoder:
    """Return MiniLM as a few-shot head uses it, or with other layers."""
    source = base()
    return Encoder(
        source.folder, pooling=source.pooling, normalise=True, max_length=source.max_length, layers=tuple(layers)
    )


def embedded(texts: Sequence[str], layers: Sequence[int] = LAYERED) -> FloatMatrix:
    """Return float32 [n, dim]: the texts as a few-shot head gets them, or from other layers."""
    return encoder(layers).embed(texts).vectors


def paired(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Return the mean of the differences, one for each seed, and half the width of its 90 % interval (Student's t).

    The width is NaN with one seed.
    """
    differences = np.subtract(ours, theirs)
    if len(differences) < 2:
        return float(differences.mean()), float("nan")
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    return float(differences.mean()), float(error * t.ppf(0.95, len(differences) - 1))
