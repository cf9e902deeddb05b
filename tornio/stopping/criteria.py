"""Stopping criteria over the agreement of consecutive models on a fixed stop set."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from tornio.spec import StopSpec


def kappa_average(signals: Sequence[float], window: int) -> float | None:
    """Mean of the last ``window`` agreements (Cohen's kappa, oldest first), or None while there are fewer.

    Source: Bloodgood and Vijay-Shanker (2009), "A Method for Stopping Active Learning Based on Stabilizing
    Predictions and the Need for User-Adjustable Stopping", CoNLL, section 3.
    """
    return fmean(signals[-window:]) if len(signals) >= window else None


def stop_reason(spec: StopSpec, signals: Sequence[float], iterations: int) -> str | None:
    """Why the loop should stop after so many iterations, or None."""
    if spec.max_iterations is not None and iterations >= spec.max_iterations:
        return f"{iterations} iterations done, as loop.stop.max_iterations asks"
    if spec.criterion != "kappa-average":
        return None
    average = kappa_average(signals, spec.window)
    if average is None or average < spec.kappa:
        return None
    return (
        f"predictions hardly change any more: kappa {average:.4f} on average over the last {spec.window} "
        f"iterations, {spec.kappa} asked"
    )
