"""One look at the annotation tool for all tasks: which of them have new answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tornio.annotation.port import AnnotationTool

Name = tuple[str, str]
"""Workspace and task."""
Stamps = Mapping[str, datetime | None]
"""The last activity of each data set of a task; None for one that the tool does not have."""


@dataclass
class Activity:
    """Tells which tasks to look at. It only remembers what the tool said last, so that a new one can continue."""

    annotation: AnnotationTool
    _seen: dict[Name, Stamps] = field(default_factory=dict)

    def moved(self, datasets: Mapping[Name, Iterable[str]]) -> list[Name]:
        """Return the tasks with a data set that has moved since the last call, and those that are new here.

        ``datasets``: the data sets of each task. Raises what the annotation tool raises.
        """
        found = self.annotation.activity({workspace for workspace, _ in datasets}) if datasets else {}
        now: dict[Name, Stamps] = {
            (workspace, task): {one: found.get((workspace, one)) for one in names}
            for (workspace, task), names in datasets.items()
        }
        moved = [name for name, stamps in now.items() if self._seen.get(name) != stamps]
        self._seen = now
        return moved
