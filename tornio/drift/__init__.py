"""Whether live texts differ from those that a version was judged on: counts, windows, effect sizes and alarms.

Counts are taken where predictions are made, and add up. Everything else is a pure function of counts.
"""

from tornio.drift.accuracy import Estimate, estimated_accuracy
from tornio.drift.counts import Counts
from tornio.drift.label_shift import estimated_mix
from tornio.drift.reference import Reference
from tornio.drift.report import MEASURES, MIN_TEXTS, Drift, Effect, compare
from tornio.drift.windows import Window

__all__ = [
    "MEASURES",
    "MIN_TEXTS",
    "Counts",
    "Drift",
    "Effect",
    "Estimate",
    "Reference",
    "Window",
    "compare",
    "estimated_accuracy",
    "estimated_mix",
]
