"""Several criteria together: any of them, or all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from pydantic import model_validator

from tornio.spec import Spec, StopSpec, setting
from tornio.stopping.never import Never
from tornio.stopping.port import StopFacts, StopState

Judge = Callable[[StopSpec, StopFacts], StopState]


class StopMember(StopSpec):
    """One of several criteria, with its own settings. All share the task's stop set."""

    @model_validator(mode="after")
    def _shares_the_stop_set(self) -> Self:
        if "stop_set_size" in self.model_fields_set:
            raise ValueError("stop_set_size stands in loop.stop, because all criteria share the stop set")
        return self


class SeveralSettings(Spec):
    """What can stand under ``loop.stop.settings`` for ``any`` and ``all``."""

    criteria: tuple[StopMember, ...] = setting(
        change="live",
        min_length=1,
        max_length=20,
        doc="The criteria, each with the fields of loop.stop that it needs: criterion, settings, window, kappa, "
        "max_iterations. No default.",
    )


class Several(Never):
    """Stops as soon as any of the criteria is met, or, with ``every``, while all of them are met.

    ``judge``: decides about one criterion. A criterion that cannot say is not met.
    """

    settings = SeveralSettings

    def __init__(self, every: bool, judge: Judge) -> None:
        self._every, self._judge = every, judge

    def members(self, spec: StopSpec) -> tuple[StopMember, ...]:
        return SeveralSettings(**spec.settings).criteria

    def decide(self, facts: StopFacts, spec: StopSpec) -> StopState:
        states = [self._judge(member, facts) for member in self.members(spec)]
        met = [state for state in states if state.reason is not None]
        enough = len(met) == len(states) if self._every else bool(met)
        if not enough:
            return StopState(trouble="; ".join(state.trouble for state in states if state.trouble) or None)
        spent = all(state.spent for state in met) if self._every else any(state.spent for state in met)
        return StopState("; ".join(str(state.reason) for state in met), spent=spent)
