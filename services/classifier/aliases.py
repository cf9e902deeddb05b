"""Where the aliases of every task stand: as the controller tells it, and as the store has it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tornio.errors import IntegrityError, NotFound
from tornio.registry.registry import CANDIDATE, CURRENT
from tornio.schemas.registry import Alias
from tornio.storage.keys import TaskKeys
from tornio.storage.port import ObjectStore
from tornio.tasks import Tasks

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Aliases:
    """What the aliases of one task name. ``current`` carries its revision; ``previous`` is the version before it."""

    current: tuple[str, int] | None = None
    previous: str | None = None
    candidate: str | None = None

    @property
    def named(self) -> frozenset[str]:
        """Every version that some alias names: what a replica keeps resident."""
        current = self.current[0] if self.current else None
        return frozenset(version for version in (current, self.previous, self.candidate) if version)

    @property
    def revision(self) -> int:
        """Of ``current``; 0 while nothing serves. It never goes back."""
        return self.current[1] if self.current else 0

    @classmethod
    def of(cls, current: Alias | None, candidate: Alias | None) -> Aliases:
        """From the documents in the store."""
        return cls(
            current=(current.version, current.revision) if current else None,
            previous=current.previous if current else None,
            candidate=candidate.version if candidate else None,
        )

    @classmethod
    def from_message(cls, said: Mapping[str, Any]) -> Aliases:
        """From the controller's ``{"current": [version, revision] | None, "previous": ..., "candidate": ...}``."""
        current = said.get("current")
        return cls(
            current=(str(current[0]), int(current[1])) if current else None,
            previous=said.get("previous"),
            candidate=said.get("candidate"),
        )


Known = Mapping[str, Aliases]
"""Full task name -> where its aliases stand."""


def heard(known: Known, said: Known) -> Known:
    """``known`` after a message of the controller.

    The message may come from a controller that has just started, or read before its last write: a task that it does
    not mention stays, and a revision never goes back.
    """
    return {**known, **{task: new for task, new in said.items() if new.revision >= _revision(known, task)}}


def looked_up(known: Known, before: Known, found: Known, broken: frozenset[str] = frozenset()) -> Known:
    """``known`` after a complete reading of the store that began when ``before`` was known.

    The store is the truth: what it no longer has is gone, and a task that was made anew starts at a low revision
    again. Only what was heard *while* it was read may be newer; and of a ``broken`` task nothing was learnt.
    """
    kept = {task: old for task, old in known.items() if task in broken or (task not in found and task not in before)}
    raced = {task: known[task] for task in found if task in known and known[task] != before.get(task)}
    newer = {task: old for task, old in raced.items() if old.revision >= found[task].revision}
    return {**found, **kept, **newer}


def _revision(known: Known, task: str) -> int:
    return known[task].revision if task in known else 0


class AliasReader:
    """Reads aliases from the store, each only when its ETag has moved. For one thread at a time."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._tasks = Tasks(store)
        self._seen: dict[str, tuple[str, Alias]] = {}
        """Key -> ETag and document."""

    def read(self, task: str) -> Aliases:
        """Of one task (full name). Raises NotFound for one that is not there, IntegrityError, Unavailable."""
        workspace, _, name = task.partition("/")
        keys = TaskKeys(workspace, name)
        aliases = Aliases.of(self._alias(keys, CURRENT), self._alias(keys, CANDIDATE))
        if not aliases.named and self._store.head(keys.document) is None:
            raise NotFound(f"there is no task {task}: create it with `tornio apply`")
        return aliases

    def read_all(self) -> tuple[Known, frozenset[str]]:
        """Of every task, and the tasks whose aliases cannot be read. Raises Unavailable."""
        found: dict[str, Aliases] = {}
        broken: set[str] = set()
        for workspace, name in self._tasks.names():
            task = f"{workspace}/{name}"
            try:
                found[task] = self.read(task)
            except NotFound:  # deleted since it was listed
                continue
            except IntegrityError:
                log.exception("The aliases of %s cannot be read: it stays as it is here", task)
                broken.add(task)
        return found, frozenset(broken)

    def _alias(self, keys: TaskKeys, alias: str) -> Alias | None:
        key = keys.alias(alias)
        etag, document = self._seen.get(key, (None, None))
        try:
            stored = self._store.get_if_changed(key, etag)
        except NotFound:
            self._seen.pop(key, None)
            return None
        if stored is not None:
            document = Alias.decode(stored.body, key)
            self._seen[key] = (stored.etag, document)
        return document
