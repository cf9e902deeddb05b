"""Live texts compared with the hold-out, in the status of a task."""

from __future__ import annotations

from datetime import datetime

from tornio.api.base import Answer


class EffectOut(Answer):
    """One difference. ``size``: the effect, in the unit of ``measure``: see docs/drift.md. It is an ``alarm`` from
    ``threshold`` on where it is larger than ``chance``, the size that chance alone hardly exceeds. ``says``: it in
    words."""

    measure: str
    size: float
    threshold: float
    chance: float
    alarm: bool
    says: str


class DriftWindow(Answer):
    """A window of live ``texts``. ``over``: False for the one that is not over yet.

    ``why``: why it is not compared; None if it is. ``accuracy``: estimated share of right answers, with its 95 %
    ``interval``. ``labels``: estimated shares of the true labels; empty where texts may have several,
    or where a label has fewer than five labelled hold-out texts.
    """

    start: datetime
    end: datetime
    over: bool
    texts: int
    why: str | None = None
    effects: list[EffectOut] = []
    accuracy: float | None = None
    interval: tuple[float, float] | None = None
    labels: dict[str, float] = {}

    @property
    def alarms(self) -> list[EffectOut]:
        """The effects that are alarms."""
        return [effect for effect in self.effects if effect.alarm]


class DriftStatus(Answer):
    """Live texts of ``version`` compared with the ``holdout`` texts that judged it.

    ``why``: why that could not be read; None if it could.
    ``windows``: the last one that is over in which the version answered, however old, and the present one; at most two,
    oldest first.
    """

    version: str
    why: str | None = None
    holdout: int = 0
    windows: list[DriftWindow] = []
