"""The hold-out metrics of a version, as iterations store them and pages show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tornio.arrays import FloatMatrix
from tornio.evaluation import metrics
from tornio.evaluation.interval import CONFIDENCE, labels_to_halve, wilson_interval
from tornio.evaluation.metrics import Labels


def holdout_report(
    truth: Labels,
    answers: Labels,
    label_names: Sequence[str],
    multi_label: bool,
    discarded: int = 0,
    probabilities: FloatMatrix | None = None,
) -> dict[str, Any]:
    """Return all hold-out metrics as JSON. ``truth`` must not be empty.

    ``discarded``: number of hold-out records that annotators discarded; reported, not evaluated. ``probabilities``,
    float32 [n, labels], add the calibration error. Keys: n, discarded, accuracy, interval (of the accuracy),
    confidence, labels_to_halve_interval, macro_f1, micro_f1, per_class (by label), calibration_error; confusion (rows:
    true labels, columns: predicted ones, in the task's order) only for single-label tasks.
    """
    if not truth:
        raise ValueError("truth is empty: a report needs at least one hold-out label")
    true, predicted = metrics.indicators(truth, label_names), metrics.indicators(answers, label_names)
    n, correct = len(true), round(metrics.accuracy(true, predicted) * len(true))
    figures = dict(zip(label_names, map(asdict, metrics.per_class(true, predicted)), strict=True))
    report: dict[str, Any] = {
        "n": n,
        "discarded": discarded,
        "accuracy": correct / n,
        "interval": list(wilson_interval(correct, n)),
        "confidence": CONFIDENCE,
        "labels_to_halve_interval": labels_to_halve(correct, n),
        "macro_f1": metrics.macro_f1(true, predicted),
        "micro_f1": metrics.micro_f1(true, predicted),
        "per_class": figures,
    }
    if not multi_label:
        report["confusion"] = metrics.confusion(true, predicted)
    if probabilities is not None:
        report["calibration_error"] = metrics.calibration_error(probabilities, true, multi_label)
    return report
