"""What the moves of an alias say. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tornio.schemas.registry import Alias


def earlier_version(moves: Sequence[Alias]) -> str | None:
    """Return the version that a rollback goes to, or None. ``moves``: every document of ``current``, the present first.

    It is the one that served before the present version was promoted. A version that was rolled back does not count any
    more, so each further rollback goes one further back.
    """
    served = list[str]()
    for move in reversed(moves):
        if move.cause == "rollback" and move.version in served:
            while served[-1] != move.version:
                served.pop()
        elif served[-1:] != [move.version]:
            served.append(move.version)
    return served[-2] if len(served) > 1 else None
