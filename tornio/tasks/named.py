"""Which version a request means."""

from __future__ import annotations

from tornio.errors import NotFound, NotServable
from tornio.loop.first import no_version
from tornio.registry import CURRENT, PREVIOUS, Registry


def named_version(registry: Registry, task: str, version: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the version, and all versions that can be asked for, the one that serves first.

    ``task``: its full name. ``version``: a version's name, or ``previous``; None means the one that serves. Raises
    NotServable where none serves, NotFound for a version that the task does not have.
    """
    current = registry.alias(CURRENT)
    if current is None and version in (None, PREVIOUS):
        raise NotServable(no_version(task, f"`tornio status {task}` says what the first one waits for"))
    aliased = {} if current is None else {None: current.version, PREVIOUS: current.previous}
    name = aliased.get(version, version)
    names = tuple(dict.fromkeys([*filter(None, aliased.values()), *registry.names()]))
    if name not in names:
        raise NotFound(f"{task} has no version {name or PREVIOUS}. `tornio versions {task}` lists them.")
    return name, names
