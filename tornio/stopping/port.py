"""The port of stopping criteria: when more labels no longer improve the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from tornio.arrays import FloatMatrix
from tornio.schemas.loop import HoldoutLook
from tornio.spec import Spec, StopSpec, TaskSpec


@dataclass(frozen=True, slots=True)
class StopPredictions:
    """What one version predicts for the records of the stop set, n in number.

    ``probabilities``: float32 [n, K] in the order of ``labels``; ``predicted``: the labels of each record.
    """

    labels: tuple[str, ...]
    multi_label: bool
    probabilities: FloatMatrix
    predicted: Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class StopFacts:
    """What the loop knows when it decides whether to stop.

    ``signals``: those measured so far, by the criterion's name, oldest first. ``iterations``: those with new labels.
    ``answered``: texts that people have labelled here, those of the hold-out included. ``holdout``: the last judgement
    of a version that passed the gate; None where there is none.
    """

    signals: Mapping[str, Sequence[float]] = field(default_factory=dict)
    iterations: int = 0
    answered: int = 0
    holdout: HoldoutLook | None = None


@dataclass(frozen=True, slots=True)
class StopState:
    """``reason``: why the loop should stop, or None. ``trouble``: why the criterion cannot say, or None.

    ``spent``: a budget is used up, so that new texts do not wake the task.
    """

    reason: str | None = None
    trouble: str | None = None
    spent: bool = False


@runtime_checkable
class StoppingCriterion(Protocol):
    """Measures a signal when a version is judged, and decides from the signals of all iterations."""

    @property
    def settings(self) -> type[Spec]:
        """The model of ``loop.stop.settings``, which ``reason`` reads from the spec that it gets."""

    def signal(self, before: StopPredictions, after: StopPredictions) -> float | None:
        """Compare a version with the one that was trained before it. None means that there is nothing to measure."""

    def reason(self, signals: Sequence[float], spec: StopSpec) -> str | None:
        """Why the loop should ask for no more labels, or None. ``signals``: those measured so far, oldest first.

        Signals may be missing, for instance because another release ran the loop for a while. Fewer signals must
        never stop the loop earlier.
        """

    def threshold(self, spec: StopSpec) -> float | None:
        """The value that signals are compared with, for the status; None where there is no single one."""


@runtime_checkable
class Gauge(Protocol):
    """A criterion that says how far it is. Without this second interface, the status shows the last signal."""

    def value(self, signals: Sequence[float], facts: StopFacts, spec: StopSpec) -> float | None:
        """The number that is compared with the threshold now; None while there is nothing to compare."""


@runtime_checkable
class Informed(Protocol):
    """A criterion that looks at more than its own signals. Where it has this interface, ``reason`` is not asked."""

    def decide(self, facts: StopFacts, spec: StopSpec) -> StopState:
        """Whether to stop. What is not known must never stop the loop earlier."""


@runtime_checkable
class Selective(Protocol):
    """A criterion that not every task can use."""

    def refusal(self, task: TaskSpec) -> str:
        """Return why this task cannot use it, as in "needs two labels"; "" where it can. Asked at each apply."""
