"""Criteria that measure nothing: the loop goes on until a budget is used up or a person pauses it."""

from __future__ import annotations

from collections.abc import Sequence

from tornio.spec import NoSettings, StopSpec
from tornio.stopping.port import StopPredictions


class Never:
    """Gives no reason to stop. ``loop.stop.max_iterations`` counts beside every criterion: see ``stop_state``."""

    settings = NoSettings

    def signal(self, before: StopPredictions, after: StopPredictions) -> None:
        return None

    def reason(self, signals: Sequence[float], spec: StopSpec) -> None:
        return None

    def threshold(self, spec: StopSpec) -> None:
        return None
