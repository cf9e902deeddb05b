"""The names of the metrics: one table, for evaluation, gate, status and the HTTP API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

MainMetric = Literal["accuracy", "exact_match"]

METRICS: Mapping[str, str] = {
    "accuracy": "share of the texts whose label is right; of tasks with one label per text",
    "exact_match": "share of the texts of which all labels are right and none is missing; of tasks with several labels",
    "macro_f1": "mean F1 over the labels that occur in the true or the predicted labels",
    "micro_f1": "F1 over all decisions of all labels; of tasks with one label per text it equals the accuracy",
    "calibration_error": "how far stated probabilities are from observed frequencies, on average over 15 bins with "
    "equally many texts; with several labels per text, the mean of the labels",
}
"""What each number of a hold-out report means."""


def main_metric(multi_label: bool) -> MainMetric:
    """Return the metric by which versions of a task are compared."""
    return "exact_match" if multi_label else "accuracy"


def shown(metric: str) -> str:
    """Return the name of a metric in a sentence."""
    return metric.replace("_", " ")
