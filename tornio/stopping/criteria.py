"""The table of stopping criteria, and the decision that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tornio.errors import MissingPlugin, TornioError
from tornio.plugins import Table
from tornio.spec import StopSpec
from tornio.stopping.kappa_average import KappaAverage
from tornio.stopping.never import Never
from tornio.stopping.port import StoppingCriterion

CRITERIA: Table[StoppingCriterion] = Table(
    "stopping criterion",
    "tornio.stopping_criteria",
    StoppingCriterion,  # type: ignore[type-abstract]
    {"kappa-average": KappaAverage(), "max-iterations": Never(), "none": Never()},
)
"""What ``loop.stop.criterion`` may name."""


def stop_threshold(spec: StopSpec) -> float | None:
    """The value that signals of the spec's criterion are compared with; None where it has none or is not installed."""
    try:
        return CRITERIA.get(spec.criterion).threshold(spec)
    except MissingPlugin:
        return None


@dataclass(frozen=True, slots=True)
class StopState:
    """``reason``: why the loop should stop, or None. ``trouble``: why the criterion cannot say, or None."""

    reason: str | None = None
    trouble: str | None = None


def stop_state(spec: StopSpec, signals: Sequence[float], iterations: int) -> StopState:
    """Whether to stop after so many iterations. ``signals``: of the spec's criterion, oldest first.

    ``loop.stop.max_iterations`` is a budget beside any criterion. A criterion that is not installed, or that fails,
    never stops the loop; ``trouble`` says so.
    """
    if spec.max_iterations is not None and iterations >= spec.max_iterations:
        return StopState(f"{iterations} iterations done, as loop.stop.max_iterations asks")
    try:
        return StopState(CRITERIA.get(spec.criterion).reason(signals, spec))
    except TornioError as error:
        return StopState(trouble=f"whether to stop is not known: {error}")
    except Exception as error:  # noqa: BLE001 - a package's criterion may raise anything, and must not stop the loop
        return StopState(
            trouble=f"whether to stop is not known: the criterion {spec.criterion!r} failed with "
            f"{type(error).__name__}: {error}"
        )
