"""The port of stopping criteria: when more labels no longer improve the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from tornio.arrays import FloatMatrix
from tornio.spec import Spec, StopSpec


@dataclass(frozen=True, slots=True)
class StopPredictions:
    """What one version predicts for the records of the stop set, n in number.

    ``probabilities``: float32 [n, K] in the order of ``labels``; ``predicted``: the labels of each record.
    """

    labels: tuple[str, ...]
    multi_label: bool
    probabilities: FloatMatrix
    predicted: Sequence[tuple[str, ...]]


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
