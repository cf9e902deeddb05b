"""Criteria that measure nothing on the stop set: no criterion, and the budgets of iterations and of labels."""

from __future__ import annotations

from collections.abc import Sequence

from tornio.spec import NoSettings, Spec, StopSpec, setting
from tornio.stopping.port import StopFacts, StopPredictions, StopState


class Never:
    """Gives no reason to stop. ``loop.stop.max_iterations`` counts beside every criterion: see ``stop_state``."""

    settings: type[Spec] = NoSettings

    def signal(self, before: StopPredictions, after: StopPredictions) -> None:
        return None

    def reason(self, signals: Sequence[float], spec: StopSpec) -> None:
        return None

    def threshold(self, spec: StopSpec) -> float | None:
        return None


class MaxIterations(Never):
    """So many iterations are done. ``stop_state`` decides, because the limit counts beside every criterion."""

    def value(self, signals: Sequence[float], facts: StopFacts, spec: StopSpec) -> float:
        return facts.iterations

    def threshold(self, spec: StopSpec) -> float | None:
        return spec.max_iterations


class BudgetSettings(Spec):
    """What can stand under ``loop.stop.settings`` for ``budget``."""

    labels: int = setting(
        change="live",
        unit="texts",
        ge=1,
        doc="Stop when people have labelled this many texts here, those of the hold-out included. No default.",
    )


class Budget(Never):
    """So many texts are labelled by people. It counts what was answered here: imports and automatic labels are free.

    The loop sends whole batches, so the last one may pass the budget by less than a batch, and with ``open_batches``
    above 1 by as many batches.
    """

    settings = BudgetSettings

    def value(self, signals: Sequence[float], facts: StopFacts, spec: StopSpec) -> float:
        return facts.answered

    def threshold(self, spec: StopSpec) -> float:
        return BudgetSettings(**spec.settings).labels

    def decide(self, facts: StopFacts, spec: StopSpec) -> StopState:
        budget = BudgetSettings(**spec.settings).labels
        if facts.answered < budget:
            return StopState()
        return StopState(f"{facts.answered} texts are labelled, and the budget is {budget}", spent=True)
