"""A linear head over embeddings. Its files are ``head.safetensors`` and ``head.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from tornio.arrays import FloatMatrix
from tornio.errors import UnfitCheckpoint

WEIGHTS_FILE = "head.safetensors"
CONFIG_FILE = "head.json"


@dataclass(frozen=True)
class LinearHead:
    """Logits are ``vectors @ weight.T + bias``. ``weight``: float32 [labels, dim]; ``bias``: float32 [labels]."""

    labels: tuple[str, ...]
    multi_label: bool
    weight: FloatMatrix
    bias: NDArray[np.float32]
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Metrics of the training: see ``training.fewshot``. They are saved in the manifest, not with the head."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """The least probability of a label that a text gets, with several labels allowed: see ``training.thresholds``.
    They are saved in the manifest, too."""

    def logits(self, vectors: FloatMatrix) -> FloatMatrix:
        """Return float32 [n, labels] for vectors float32 [n, dim]."""
        return np.asarray(vectors @ self.weight.T + self.bias, dtype=np.float32)

    def probabilities(self, logits: FloatMatrix) -> FloatMatrix:
        """Return float32 [n, labels]: softmax, or, with several labels allowed, a sigmoid of each."""
        return sigmoid(logits) if self.multi_label else softmax(logits)

    def save(self, folder: Path) -> None:
        """Write the head's two files."""
        arrays = {"weight": np.ascontiguousarray(self.weight), "bias": np.ascontiguousarray(self.bias)}
        save_file(arrays, folder / WEIGHTS_FILE)
        config = {"labels": list(self.labels), "multi_label": self.multi_label}
        (folder / CONFIG_FILE).write_text(json.dumps(config, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, dimension: int | None = None) -> LinearHead:
        """Load a head for vectors of this dimension; None: of whatever dimension it has.

        Raises UnfitCheckpoint for missing or unreadable files, arrays of another shape or type, NaN and infinity.
        """
        try:
            config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
            labels, multi_label = tuple(config["labels"]), bool(config["multi_label"])
            arrays = load_file(folder / WEIGHTS_FILE)
            weight, bias = arrays["weight"], arrays["bias"]
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise UnfitCheckpoint(f"the head cannot be read ({type(error).__name__}: {error}): train again") from error
        expected = (len(labels), weight.shape[-1] if dimension is None else dimension)
        if weight.shape != expected or bias.shape != expected[:1]:
            raise UnfitCheckpoint(
                f"the head has the shapes {weight.shape} and {bias.shape}, not {expected} and {expected[:1]}: "
                "it belongs to another encoder or label set"
            )
        if weight.dtype != np.float32 or bias.dtype != np.float32:
            raise UnfitCheckpoint(f"the head is {weight.dtype} and {bias.dtype}, but must be float32: train again")
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise UnfitCheckpoint("the head's weights are not all finite: train again")
        return cls(labels, multi_label, weight, bias)


def softmax(logits: FloatMatrix) -> FloatMatrix:
    """Return float32 [n, labels]; each row sums to one."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), dtype=np.float32)


def sigmoid(logits: FloatMatrix) -> FloatMatrix:
    """Return float32 [n, labels], each entry on its own. It uses tanh, which does not overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), dtype=np.float32)
