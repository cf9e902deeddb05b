"""From a model's or a teacher's probabilities to what annotators are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tornio.arrays import FloatMatrix
from tornio.models.decide import decide_labels
from tornio.schemas.task import SuggestionPart


def proposals(
    probabilities: FloatMatrix,
    label_names: Sequence[str],
    multi_label: bool,
    thresholds: Mapping[str, float] | None = None,
) -> list[SuggestionPart]:
    """Return the proposal for each row: the labels that ``decide_labels`` gives, each with its probability rounded to
    four digits.

    ``probabilities``: float32 [n, labels] in the order of ``label_names``. ``thresholds``: as in ``decide_labels``.
    """
    names = list(label_names)
    decided = decide_labels(probabilities, names, multi_label, thresholds)
    return [
        SuggestionPart(labels=labels, scores=tuple(round(float(row[names.index(name)]), 4) for name in labels))
        for labels, row in zip(decided, probabilities, strict=True)
    ]
