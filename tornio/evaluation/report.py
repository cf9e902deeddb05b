"""The hold-out metrics of a version, as iterations store them and pages show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from tornio.arrays import BoolVector, FloatMatrix
from tornio.evaluation import metrics
from tornio.evaluation.interval import CONFIDENCE, labels_to_halve, wilson_interval
from tornio.evaluation.metrics import Labels
from tornio.metricnames import main_metric


def holdout_report(
    truth: Labels,
    answers: Labels,
    label_names: Sequence[str],
    multi_label: bool,
    discarded: int = 0,
    probabilities: FloatMatrix | None = None,
    imported: Sequence[bool] | None = None,
) -> dict[str, Any]:
    """Return all hold-out metrics as JSON. ``truth`` must not be empty.

    ``discarded``: number of hold-out records that annotators discarded; reported, not evaluated. ``probabilities``,
    float32 [n, labels], add the calibration error. ``imported``: for each record, whether its label was imported
    rather than given by annotators; it adds ``sources``.

    Keys: n, discarded, interval (of the main metric), confidence, labels_to_halve_interval, labels, per_class (by
    label); confusion (rows: true labels, columns: predicted ones, in the order of labels) only for single-label tasks;
    sources: n, score (the main metric) and interval of the labels that were imported and of those by annotators; and
    the metrics of ``tornio.metricnames``. With several labels per text, ``accuracy`` repeats ``exact_match``, because
    release 0.2 reads it.
    """
    if not truth:
        raise ValueError("truth is empty: a report needs at least one hold-out label")
    true, predicted = metrics.indicators(truth, label_names), metrics.indicators(answers, label_names)
    right = metrics.exact(true, predicted)
    n, correct = len(true), int(right.sum())
    figures = dict(zip(label_names, map(asdict, metrics.per_class(true, predicted)), strict=True))
    report: dict[str, Any] = {
        "n": n,
        "discarded": discarded,
        "accuracy": correct / n,
        main_metric(multi_label): correct / n,
        "interval": list(wilson_interval(correct, n)),
        "confidence": CONFIDENCE,
        "labels_to_halve_interval": labels_to_halve(correct, n),
        "macro_f1": metrics.macro_f1(true, predicted),
        "micro_f1": metrics.micro_f1(true, predicted),
        "labels": list(label_names),
        "per_class": figures,
    }
    if not multi_label:
        report["confusion"] = metrics.confusion(true, predicted)
    if imported is not None:
        report["sources"] = _sources(right, np.asarray(imported, dtype=bool))
    if probabilities is not None:
        report["calibration_error"] = metrics.calibration_error(probabilities, true, multi_label)
    return report


def _sources(right: BoolVector, imported: BoolVector) -> dict[str, dict[str, Any]]:
    """Return the score on each source of hold-out labels. A test set and what annotators were sent may differ."""
    found = {"imported": right[imported], "annotators": right[~imported]}
    return {
        name: {
            "n": len(rows),
            "score": float(rows.mean()),
            "interval": list(wilson_interval(int(rows.sum()), len(rows))),
        }
        for name, rows in found.items()
        if len(rows)
    }
