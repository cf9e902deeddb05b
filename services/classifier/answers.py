"""What a replica answers: predictions that carry the version and the revision that made them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from services.classifier.shelf import Serving
from tornio.errors import UnfitCheckpoint
from tornio.models.decide import decide_labels
from tornio.models.port import Model


def answer(serving: Serving[Model], texts: Sequence[str]) -> list[dict[str, Any]]:
    """A ``records.Prediction`` as a mapping for each text, in order.

    Raises UnfitCheckpoint where the model gives numbers that are not finite: no answer is better than that one.
    """
    model = serving.model
    scores = model.score(texts)
    if not np.isfinite(scores.probabilities).all():
        raise UnfitCheckpoint(f"version {serving.version} gives numbers that are not finite for this text: roll back")
    chosen = decide_labels(scores.probabilities, model.labels, model.multi_label)
    return [
        {
            "labels": list(labels),
            "probabilities": dict(zip(model.labels, map(float, row), strict=True)),
            "truncated": bool(truncated),
            "version": serving.version,
            "revision": serving.revision,
        }
        for labels, row, truncated in zip(chosen, scores.probabilities, scores.truncated, strict=True)
    ]
