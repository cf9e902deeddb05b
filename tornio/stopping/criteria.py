"""The table of stopping criteria, and the decision that follows from it."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

from tornio.errors import InvalidInput, MissingPlugin, describe
from tornio.plugins import Table
from tornio.spec import StopSpec
from tornio.stopping.kappa_average import KappaAverage
from tornio.stopping.never import Never
from tornio.stopping.port import StoppingCriterion

log = logging.getLogger(__name__)

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
        value = CRITERIA.get(spec.criterion).threshold(spec)
        threshold = None if value is None else float(value)
    except Exception:  # a package's criterion may raise anything, and must not hide the status
        log.warning("the stopping criterion %s has no threshold", spec.criterion, exc_info=True)
        return None
    return threshold if threshold is None or math.isfinite(threshold) else None


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
        reason = CRITERIA.get(spec.criterion).reason(signals, spec)
        if reason is not None and not isinstance(reason, str):
            raise InvalidInput(f"its reason is {reason!r}, and must be a text or None")
    except MissingPlugin as error:
        return StopState(trouble=f"whether to stop is not known: {error}")
    except Exception as error:  # noqa: BLE001 - a package's criterion may raise anything, and must not stop the loop
        return StopState(
            trouble=f"whether to stop is not known: the criterion {spec.criterion!r} failed: {describe(error)}"
        )
    return StopState(reason)
