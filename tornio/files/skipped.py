"""Rows that were left out, counted by reason, for files of any size."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from tornio.files.rows import Skipped

_KEPT = 100
_SHOWN = 5


@dataclass(slots=True)
class SkippedRows:
    """How many rows were left out. ``first``: the first hundred of them. Memory does not grow with their number."""

    count: int = 0
    first: list[Skipped] = field(default_factory=list)
    _alike: dict[str, tuple[int, list[Skipped]]] = field(default_factory=dict)

    def add(self, skip: Skipped) -> None:
        self.count += 1
        if len(self.first) < _KEPT:
            self.first.append(skip)
        kind = re.sub(r"'[^']*'|\d[\d,]*", "", skip.reason)
        number, some = self._alike.get(kind, (0, []))
        if len(some) < _SHOWN:
            some.append(skip)
        self._alike[kind] = number + 1, some

    def lines(self) -> list[str]:
        """Describe the rows, grouped by reason. Reasons that differ only in numbers and names are one group."""
        lines = []
        for number, some in self._alike.values():
            places = ", ".join(str(skip.line) for skip in some) + (", ..." if number > len(some) else "")
            example = some[0].reason if number == 1 else f"such as: {some[0].reason}"
            lines.append(f"skipped {number:,} (line {places}): {example}")
        return lines


def skipped_lines(skipped: Iterable[Skipped]) -> list[str]:
    """Describe the skipped rows, grouped by reason."""
    rows = SkippedRows()
    for skip in skipped:
        rows.add(skip)
    return rows.lines()
