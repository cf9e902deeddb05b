"""The aliases of every task, as the controller reports them and as the store holds them."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from services.messages import Aliases
from tornio.errors import IntegrityError, NotFound
from tornio.registry.registry import CANDIDATE, CURRENT
from tornio.schemas.keys import TaskKeys
from tornio.schemas.registry import Alias
from tornio.storage.port import ObjectStore
from tornio.tasks import Tasks

log = logging.getLogger(__name__)


Known = Mapping[str, Aliases]
"""The aliases of each task, by full task name."""


def heard(known: Known, message: Known) -> Known:
    """Return what is known after a message of the controller.

    The controller may have just started, or have read the store before its last write. So a task that the message
    does not mention stays as it is, and a revision never decreases.
    """
    return {**known, **{task: new for task, new in message.items() if new.revision >= _revision(known, task)}}


def looked_up(known: Known, before: Known, stored: Known, broken: frozenset[str] = frozenset()) -> Known:
    """Return what is known after a complete reading of the store that began when ``before`` was known.

    The store is the truth: a task that it no longer has is gone, and a task that was created again starts at a low
    revision. Only a message that came *while* the store was read may be newer. Of a ``broken`` task nothing was
    learnt, so it stays as it is.
    """
    kept = {task: old for task, old in known.items() if task in broken or (task not in stored and task not in before)}
    raced = {task: known[task] for task in stored if task in known and known[task] != before.get(task)}
    newer = {task: old for task, old in raced.items() if old.revision >= stored[task].revision}
    return {**stored, **kept, **newer}


def _revision(known: Known, task: str) -> int:
    return known[task].revision if task in known else 0


class AliasReader:
    """Reads aliases from the store, each only when its ETag has changed. For one thread at a time."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._tasks = Tasks(store)
        self._seen: dict[str, tuple[str, Alias]] = {}
        """ETag and document, by key."""
        self._named: set[tuple[str, str]] = set()
        """Tasks with an alias at the last complete reading: no further look is needed to know that they exist."""

    def read(self, task: str) -> Aliases:
        """Return the aliases of a task (full name). Raises NotFound, IntegrityError, Unavailable."""
        workspace, _, name = task.partition("/")
        keys = TaskKeys(workspace, name)
        aliases = Aliases.of(self._alias(keys, CURRENT), self._alias(keys, CANDIDATE))
        if not aliases.named and self._store.head(keys.document) is None:
            raise NotFound(f"The task {task} does not exist. Create it with `tornio apply`.")
        return aliases

    def read_all(self) -> tuple[Known, frozenset[str]]:
        """Return the aliases of every task, and the tasks whose aliases cannot be read. Raises Unavailable."""
        aliases: dict[str, Aliases] = {}
        broken: set[str] = set()
        for workspace, name in self._tasks.names(known=self._named):
            task = f"{workspace}/{name}"
            try:
                aliases[task] = self.read(task)
            except NotFound:  # deleted since it was listed
                continue
            except IntegrityError:
                log.exception("The aliases of %s cannot be read. The task stays as it is in this replica.", task)
                broken.add(task)
        self._named = {(workspace, name) for task, named in aliases.items() if named.named
                       for workspace, _, name in [task.partition("/")]}  # fmt: skip
        return aliases, frozenset(broken)

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
