"""What a replica answers: predictions that carry the version and the revision that made them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from services.classifier.shelf import Serving
from tornio.drift.counts import Counts, confidence_of, count
from tornio.errors import UnfitCheckpoint
from tornio.models.decide import decide_labels
from tornio.models.port import Model
from tornio.records import Prediction


def answer(
    serving: Serving[Model], texts: Sequence[str], counted: Callable[[Counts], None] | None = None
) -> list[Prediction]:
    """Return a prediction for each text, in order. ``counted``: takes the counts of what was answered.

    Raises UnfitCheckpoint if the model gives numbers that are not finite: no answer is better than such an answer.
    """
    model = serving.model
    scores = model.score(texts)
    if not np.isfinite(scores.probabilities).all():
        raise UnfitCheckpoint(
            f"Version {serving.version} gives numbers that are not finite for this text. Roll back to another version."
        )
    chosen = decide_labels(scores.probabilities, model.labels, model.multi_label, model.thresholds)
    if counted is not None:
        stated = confidence_of(scores.probabilities, model.labels, model.multi_label, model.thresholds)
        counted(count(model.labels, chosen, stated, texts, scores.truncated, scores.reading))
    rows = zip(chosen, scores.probabilities.tolist(), scores.truncated.tolist(), strict=True)
    return [
        Prediction(
            labels=tuple(labels),
            probabilities=dict(zip(model.labels, probabilities, strict=True)),
            truncated=truncated,
            version=serving.version,
            revision=serving.revision,
            taught_by=serving.taught_by,
            multi_label=model.multi_label,
            outdated_labels=serving.outdated_labels,
        )
        for labels, probabilities, truncated in rows
    ]
