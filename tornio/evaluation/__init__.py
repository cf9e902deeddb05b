"""Metrics of a model, their uncertainty, and the decision whether it may be deployed. Pure functions."""

from tornio.evaluation.against import against_current
from tornio.evaluation.gate import judge
from tornio.evaluation.interval import labels_to_halve, wilson_interval
from tornio.evaluation.metrics import calibration_error
from tornio.evaluation.report import holdout_report

__all__ = [
    "against_current",
    "calibration_error",
    "holdout_report",
    "judge",
    "labels_to_halve",
    "wilson_interval",
]
