"""The table of stopping criteria, and the decision that follows from it."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass

from tornio.errors import InvalidInput, MissingPlugin, describe
from tornio.plugins import Table
from tornio.spec import StopSpec
from tornio.stopping.changes import ClassificationChange, DeltaFScore
from tornio.stopping.kappa_average import KappaAverage
from tornio.stopping.never import Budget, MaxIterations, Never
from tornio.stopping.port import Gauge, Informed, StopFacts, StoppingCriterion, StopState
from tornio.stopping.several import Several
from tornio.stopping.target_accuracy import TargetAccuracy
from tornio.stopping.uncertainty import OverallUncertainty

log = logging.getLogger(__name__)


def stop_state(spec: StopSpec, facts: StopFacts) -> StopState:
    """Whether to stop, by the spec's criterion.

    ``loop.stop.max_iterations`` is a budget beside any criterion. A criterion that is not installed, or that fails,
    never stops the loop; ``trouble`` says so.
    """
    if spec.max_iterations is not None and facts.iterations >= spec.max_iterations:
        return StopState(f"{facts.iterations} iterations done, as loop.stop.max_iterations asks", spent=True)
    try:
        entry = CRITERIA.get(spec.criterion)
        if isinstance(entry, Informed):
            return entry.decide(facts, spec)
        reason = entry.reason(facts.signals.get(spec.criterion, ()), spec)
        if reason is not None and not isinstance(reason, str):
            raise InvalidInput(f"its reason is {reason!r}, and must be a text or None")
    except MissingPlugin as error:
        return StopState(trouble=f"whether to stop is not known: {error}")
    except Exception as error:  # noqa: BLE001 - a package's criterion may raise anything, and must not stop the loop
        return StopState(
            trouble=f"whether to stop is not known: the criterion {spec.criterion!r} failed: {describe(error)}"
        )
    return StopState(reason)


BUILT_IN: dict[str, StoppingCriterion] = {
    "kappa-average": KappaAverage(),
    "classification-change": ClassificationChange(),
    "delta-f-score": DeltaFScore(),
    "overall-uncertainty": OverallUncertainty(),
    "target-accuracy": TargetAccuracy(),
    "budget": Budget(),
    "max-iterations": MaxIterations(),
    "any": Several(every=False, judge=stop_state),
    "all": Several(every=True, judge=stop_state),
    "none": Never(),
}
CRITERIA: Table[StoppingCriterion] = Table(
    "stopping criterion",
    "tornio.stopping_criteria",
    StoppingCriterion,  # type: ignore[type-abstract]
    BUILT_IN,
)
"""What ``loop.stop.criterion`` may name."""


@dataclass(frozen=True, slots=True)
class Level:
    """How far a criterion is: ``value`` is compared with ``threshold``. None: nothing to compare (with).

    ``measured``: number of its signals. A criterion that compares the mean of several has no value at first."""

    criterion: str
    value: float | None
    threshold: float | None
    met: bool
    measured: int


def single_criteria(spec: StopSpec) -> tuple[StopSpec, ...]:
    """The criteria that the spec asks for, with those that ``any`` and ``all`` hold in their place.

    ``loop.stop.max_iterations`` is one of them where it stands beside another criterion.
    """
    return tuple(_single(spec))


def _single(spec: StopSpec) -> Iterator[StopSpec]:
    entry = BUILT_IN.get(spec.criterion)
    if isinstance(entry, Several):
        try:
            members = entry.members(spec)
        except ValueError:  # a later release may know settings that this one does not; ``stop_state`` says so
            members = ()
        for member in members:
            yield from _single(member)
    else:
        yield spec.model_copy(update={"max_iterations": None}) if spec.criterion != _LIMIT else spec
    if spec.max_iterations is not None and spec.criterion != _LIMIT:
        yield StopSpec(criterion=_LIMIT, max_iterations=spec.max_iterations)


_LIMIT = "max-iterations"


def levels(spec: StopSpec, facts: StopFacts) -> tuple[Level, ...]:
    """How far each criterion of the spec is, for the status."""
    return tuple(
        Level(
            criterion=one.criterion,
            value=_value(one, facts),
            threshold=stop_threshold(one),
            met=stop_state(one, facts).reason is not None,
            measured=len(facts.signals.get(one.criterion, ())),
        )
        for one in single_criteria(spec)
    )


def stop_threshold(spec: StopSpec) -> float | None:
    """The value that signals of the spec's criterion are compared with; None where it has none or is not installed."""
    try:
        return _finite(CRITERIA.get(spec.criterion).threshold(spec))
    except Exception:  # a package's criterion may raise anything, and must not hide the status
        log.warning("the stopping criterion %s has no threshold", spec.criterion, exc_info=True)
        return None


def _value(spec: StopSpec, facts: StopFacts) -> float | None:
    signals = facts.signals.get(spec.criterion, ())
    try:
        entry = CRITERIA.get(spec.criterion)
        if isinstance(entry, Gauge):
            return _finite(entry.value(signals, facts, spec))
    except Exception:  # a package's criterion may raise anything, and must not hide the status
        log.warning("how far the stopping criterion %s is, is not known", spec.criterion, exc_info=True)
        return None
    return signals[-1] if signals else None


def _finite(value: float | None) -> float | None:
    number = None if value is None else float(value)
    return number if number is None or math.isfinite(number) else None
