"""The scores of a version on the hold-out, named as users see them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tornio.api import SourceScore
from tornio.metricnames import main_metric
from tornio.schemas.task import Iteration

_SOURCES = "sources"


def named(values: Mapping[str, Any], multi_label: bool) -> dict[str, Any]:
    """Return a stored hold-out report without the name that release 0.2 used wrongly.

    With several labels per text, it stored the exact match as ``accuracy``; reports still have it there, for that
    release.
    """
    if not multi_label or "accuracy" not in values:
        return dict(values)
    rest = {name: value for name, value in values.items() if name != "accuracy"}
    return {**rest, "exact_match": values["accuracy"]}


def figures(values: Mapping[str, Any], multi_label: bool) -> dict[str, Any]:
    """Return the fields of ``tornio.api.Scores`` for a hold-out report. They are None where there were no labels."""
    metric, interval = main_metric(multi_label), values.get("interval")
    sources = values.get(_SOURCES, {})
    return {
        "metric": metric,
        metric: values.get("accuracy"),
        "holdout": values.get("n"),
        "calibration_error": values.get("calibration_error"),
        "interval": None if interval is None else tuple(interval),
        "labels_to_halve": values.get("labels_to_halve_interval"),
        "sources": {name: SourceScore.model_validate(score) for name, score in sources.items()},
    }


def training_counts(iteration: Iteration | None, multi_label: bool) -> dict[str, int | None]:
    """Return how many texts and labels a version was trained on.

    Iterations of release 0.2 counted labels alone; there, each text has one unless the task allows several.
    """
    if iteration is None:
        return {"training_texts": None, "training_labels": 0}
    labels = sum(iteration.labels.values())
    texts = labels if iteration.texts is None and not multi_label else iteration.texts
    return {"training_texts": texts, "training_labels": labels}
