"""Who calls: the holder of a key, and what it may do where. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from services.limits.port import UNLIMITED, KeyLimits
from tornio.api import TaskName
from tornio.errors import Forbidden

EVERYWHERE = "*"
"""In place of a workspace's name: all workspaces."""


class Role(StrEnum):
    """What a key may do, from the least to the most. Each role may also do all that those before it may."""

    PREDICT = "predict"
    """Classify texts, classify without training, read the status and the runs."""
    ANNOTATE = "annotate"
    """Add texts to the pool, import labels, see how annotators agree."""
    OPERATE = "operate"
    """Everything that can be undone: specs, labels, versions, runs, exports."""
    ADMIN = "admin"
    """Also what cannot be undone: deleting records, and purging them."""

    def includes(self, other: Role) -> bool:
        """Whether whoever has this role may do what ``other`` may."""
        return _RANKS[self] >= _RANKS[other]


_RANKS = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of a known key. ``tasks``: the only tasks that it has access to; None for all of its workspaces.

    ``limits``: how much it may ask for.
    """

    name: str
    workspaces: frozenset[str]
    role: Role
    tasks: frozenset[TaskName] | None = None
    limits: KeyLimits = UNLIMITED

    def sees(self, task: TaskName) -> bool:
        """Whether the caller has access to the task, which need not exist."""
        of_workspace = EVERYWHERE in self.workspaces or task.workspace in self.workspaces
        return of_workspace and (self.tasks is None or task in self.tasks)

    def check(self, role: Role, where: TaskName | str | None = None) -> None:
        """Raises Forbidden unless this caller may act as ``role`` there.

        ``where``: a task, a whole workspace by its name, or None for what belongs to no workspace. A key for some tasks
        has access to no whole workspace.
        """
        if where is not None and not self._reaches(where):
            workspace = where if isinstance(where, str) else where.workspace
            what = f"workspace {workspace!r}" if self.tasks is None else f"{where}, but only to some tasks"
            raise Forbidden(
                f"The key {self.name!r} has no access to {what}. "
                "To get a key that has, ask the operator of this server."
            )
        if not self.role.includes(role):
            raise Forbidden(
                f"This needs a key with the role {str(role)!r}, and the key {self.name!r} has the role "
                f"{str(self.role)!r}. To get such a key, ask the operator of this server."
            )

    def _reaches(self, where: TaskName | str) -> bool:
        if isinstance(where, TaskName):
            return self.sees(where)
        return self.tasks is None and not self.workspaces.isdisjoint((EVERYWHERE, where))


ANYBODY = Caller("anonymous", frozenset({EVERYWHERE}), Role.ADMIN)
"""The caller of a server without keys, in insecure mode."""
