"""How good a ranking was, by those of its rows that people have looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Precision:
    """How good the ranking was so far. ``shown``: rows that were sent; ``reviewed``: of those, with a decided answer;
    ``changed``: of those, whose given label was wrong."""

    shown: int
    reviewed: int
    changed: int
    discarded: int = 0
    disputed: int = 0

    @property
    def share(self) -> float | None:
        """Share of the reviewed rows whose label was changed; None before the first."""
        return self.changed / self.reviewed if self.reviewed else None
