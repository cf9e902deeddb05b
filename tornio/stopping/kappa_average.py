"""Stop when consecutive models agree on the stop set."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from tornio.spec import NoSettings, StopSpec
from tornio.stopping.port import StopFacts, StopPredictions


class KappaAverage:
    """The average agreement of consecutive models, measured by Cohen's kappa, has reached ``loop.stop.kappa``.

    Source: Bloodgood and Vijay-Shanker (2009), "A Method for Stopping Active Learning Based on Stabilizing
    Predictions and the Need for User-Adjustable Stopping", CoNLL, section 3.
    """

    settings = NoSettings

    def signal(self, before: StopPredictions, after: StopPredictions) -> float:
        first, second = ([_SEPARATOR.join(sorted(labels)) for labels in each.predicted] for each in (before, after))
        return cohen_kappa(first, second)

    def reason(self, signals: Sequence[float], spec: StopSpec) -> str | None:
        average = kappa_average(signals, spec.window)
        if average is None or average < spec.kappa:
            return None
        return (
            f"predictions hardly change any more: kappa {average:.4f} on average over the last {spec.window} "
            f"iterations, {spec.kappa} asked"
        )

    def threshold(self, spec: StopSpec) -> float:
        return spec.kappa

    def value(self, signals: Sequence[float], facts: StopFacts, spec: StopSpec) -> float | None:
        return kappa_average(signals, spec.window)


_SEPARATOR = "\x1f"
"""Between the labels of a record, so that each set of labels is one category."""


def kappa_average(signals: Sequence[float], window: int) -> float | None:
    """Mean of the last ``window`` agreements, oldest first, or None while there are fewer."""
    return fmean(signals[-window:]) if len(signals) >= window else None


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> float:
    """Cohen's kappa of two models' predictions on the same texts, one category per text.

    Source: Cohen (1960), "A Coefficient of Agreement for Nominal Scales". Equal predictions give 1.0, also where all
    are one category, for which the formula is 0/0 (as in small-text). Raises ValueError for sequences of different
    length.
    """
    from sklearn.metrics import cohen_kappa_score  # takes seconds to import, which the controller should not spend

    if len(first) != len(second):
        raise ValueError(f"{len(first)} predictions against {len(second)}: give both models the same texts")
    return 1.0 if list(first) == list(second) else float(cohen_kappa_score(list(first), list(second)))
