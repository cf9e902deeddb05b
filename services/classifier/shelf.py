"""What a replica holds: for each task the model that serves and the models that may be next.

The shelf has no thread, clock or store of its own. ``apply`` sets the aliases, ``work`` loads one version at a time in
the thread that calls it, ``serving`` returns a reference that stays valid for as long as a caller holds it.

Every task is loaded in advance while there is room. When there is no more, versions for a rollback are dropped first.
Then the tasks that were asked for least recently are put to sleep (see `room`): they hold no model until somebody asks
for them again, or until a version is to be deployed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from threading import Lock
from typing import Generic, TypeVar

from services.classifier.aliases import Known
from services.classifier.room import small_last
from services.messages import Aliases, Heartbeat, HeldVersions
from tornio.errors import IntegrityError, NotFound, NotServable, TornioError, Unavailable
from tornio.loop.first import no_version
from tornio.registry.registry import PREVIOUS

log = logging.getLogger(__name__)

M = TypeVar("M")

_FOR_ROLLBACK = 3
"""Urgency of a version that only a rollback would need."""
_BACKOFF_S = (1.0, 60.0)
"""First and longest wait, in seconds, before a version that could not be loaded for the moment is tried again."""


@dataclass(frozen=True, slots=True)
class Loaded(Generic[M]):
    """A model, and about how many bytes of memory it takes. ``taught_by``: see ``Manifest``."""

    model: M
    size: int
    taught_by: str | None = None


@dataclass(frozen=True, slots=True)
class Serving(Generic[M]):
    """A version, the revision of ``current`` under which it answers, and its model. All are exchanged at once.

    ``taught_by``: see ``Manifest``. ``outdated_labels``: see ``Alias``.
    """

    version: str
    revision: int
    model: M
    taught_by: str | None = None
    outdated_labels: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a version is not on the shelf. ``retry_at``: monotonic seconds; None means that it is not tried again."""

    reason: str
    tries: int
    retry_at: float | None


@dataclass(frozen=True)
class Held(Generic[M]):
    """One task on the shelf."""

    aliases: Aliases
    serving: Serving[M] | None = None
    ready: Mapping[str, Loaded[M]] = field(default_factory=dict)
    failed: Mapping[str, Failure] = field(default_factory=dict)
    asleep: bool = False

    @property
    def size(self) -> int:
        """Bytes of its models."""
        return sum(loaded.size for loaded in self.ready.values())

    @property
    def settled(self) -> bool:
        """Whether this task answers as well as it can: it serves, has nothing to serve, or has nothing that loads."""
        if self.asleep or self.serving or self.aliases.current is None:
            return True
        version, previous = self.aliases.current[0], self.aliases.previous
        return version in self.failed and (previous is None or previous in self.failed)

    def turned(self) -> Held[M]:
        """Return the task with its loaded ``current`` serving, and without versions that no alias names any longer."""
        serving = self._next_serving()
        keep = self.aliases.named | ({serving.version} if serving else set())
        return replace(
            self,
            serving=serving,
            ready={version: model for version, model in self.ready.items() if version in keep},
            failed={version: failure for version, failure in self.failed.items() if version in self.aliases.named},
        )

    def _next_serving(self) -> Serving[M] | None:
        current, previous = self.aliases.current, self.aliases.previous
        if current is None:
            return None
        version, revision = current
        if version in self.ready:
            if self.serving and (self.serving.version, self.serving.revision) == current:
                return self.serving
            return _serving(version, revision, self.ready[version], self.aliases.outdated_labels)
        if self.serving is None and version in self.failed and previous and previous in self.ready:
            # it served under the revision before: every move of the alias adds one
            return _serving(previous, revision - 1, self.ready[previous])
        return self.serving

    def wanted(self) -> Iterator[tuple[int, str]]:
        """Yield the versions that are not loaded, each with its urgency. 0 is the most urgent."""
        if self.asleep:
            return
        version = self.aliases.current[0] if self.aliases.current else None
        stranded = self.serving is None and version in self.failed
        order = ((0, version), (1 if stranded else _FOR_ROLLBACK, self.aliases.previous), (2, self.aliases.candidate))
        for urgency, name in order:
            if name is not None and name not in self.ready:
                yield urgency, name

    def report(self) -> HeldVersions:
        """Return what the heartbeat reports about this task."""
        return HeldVersions(
            serving=(self.serving.version, self.serving.revision) if self.serving else None,
            ready=tuple(sorted(self.ready)),
            failed={version: failure.reason for version, failure in sorted(self.failed.items())},
            asleep=self.asleep,
        )


def _serving(version: str, revision: int, loaded: Loaded[M], outdated_labels: bool = False) -> Serving[M]:
    return Serving(version, revision, loaded.model, loaded.taught_by, outdated_labels)


def _unknown(task: str) -> NotFound:
    return NotFound(f"The task {task} does not exist. Create it with `tornio apply`.")


class Shelf(Generic[M]):
    """Every task's ``current``, ``previous`` and ``candidate``, loaded in advance while there is room.

    ``load(task, version)`` returns a model that passed its checks: digests, probes, one prediction. Its
    IntegrityError is final while an alias names the version; after any other error it is tried again, less and less
    often. ``room``: bytes that all models may take. One task may exceed it alone. ``pinned``: whether a task is never
    put to sleep. Thread-safe: ``work`` is for one thread, all other methods are for any.
    """

    def __init__(
        self,
        load: Callable[[str, str], Loaded[M]],
        monotonic: Callable[[], float],
        room: float = inf,
        pinned: Callable[[str], bool] = lambda task: False,
    ) -> None:
        self._load = load
        self._monotonic = monotonic
        self._room = room
        self._pinned = pinned
        self._held: dict[str, Held[M]] = {}
        self._asked: dict[str, float] = {}
        """When each task was asked for last, in monotonic seconds."""
        self._full = False
        """Whether there was no room once. From then on, a task is only loaded when it is asked for."""
        self._lock = Lock()

    def apply(self, known: Known) -> None:
        """Set the aliases of all tasks. A loaded version that is now ``current`` serves when this returns."""
        with self._lock:
            deleted = self._held.keys() - known.keys()
            for task in deleted:
                log.info("%s was deleted. Its versions are dropped.", task)
                del self._held[task]
                self._asked.pop(task, None)
            if deleted and self._full:  # there is room again: find out for how much
                self._full = False
                self._held = {name: replace(held, asleep=False) for name, held in self._held.items()}
            for task, aliases in known.items():
                held = self._held.get(task) or Held[M](Aliases(), asleep=self._sleeps(task))
                asleep = held.asleep
                if aliases.deploying not in (None, held.aliases.deploying):  # it is proved here, or tried
                    self._asked[task], asleep = self._monotonic(), False
                self._put(task, replace(held, aliases=aliases, asleep=asleep))
            if self._full:
                self._let_sleep()

    def work(self) -> float | None:
        """Load the most urgent version that is missing.

        Returns the seconds until there may be more to do, 0 for at once. None means that all is loaded or given up.
        """
        with self._lock:
            task, version, wait = self._due()
        if version is None:
            return wait
        log.info("%s: loading %s", task, version)
        try:
            outcome: Loaded[M] | Exception = self._load(task, version)
        except Exception as error:  # noqa: BLE001 - it is in the report, and the version is tried again
            outcome = error
        with self._lock:
            held = self._held.get(task)
            if held is not None and version in held.aliases.named:
                self._put(task, self._with(held, task, version, outcome))
                self._make_room(task)
        return 0.0

    def has(self, task: str) -> bool:
        """Whether the task is known here."""
        return task in self._held

    def peek(self, task: str) -> Serving[M] | None:
        """Return what answers now, or None. It counts as no request and wakes nothing."""
        held = self._held.get(task)
        return held.serving if held else None

    def named(self, task: str, name: str) -> tuple[str, Serving[M] | None]:
        """Return the version that a name, which may be ``previous``, means, and what answers for it if it is here.

        The revision is 0 unless the version serves. It wakes nothing. Raises NotFound.
        """
        held = self._held.get(task)
        if held is None:
            raise _unknown(task)
        version = held.aliases.previous if name == PREVIOUS else name
        if version is None:
            raise NotFound(f"No version served {task} before the one that serves now.")
        if held.serving is not None and held.serving.version == version:
            return version, held.serving
        loaded = held.ready.get(version)
        return version, None if loaded is None else _serving(version, 0, loaded)

    def serving(self, task: str) -> Serving[M]:
        """Return what answers now.

        Raises NotFound for an unknown task, NotServable for a task without ``current``, Unavailable while ``current``
        is being loaded or if neither it nor its predecessor can be loaded. A task that sleeps is woken: it is loaded by
        the next ``work``.
        """
        held = self._held.get(task)
        if held is None:
            raise _unknown(task)
        self._asked[task] = self._monotonic()
        if held.serving is not None:
            return held.serving
        if held.asleep:
            self._wake(task)
        if held.aliases.current is None:
            raise NotServable(no_version(task, f"`tornio status {task}` says what the first one waits for"))
        version = held.aliases.current[0]
        if version not in held.failed:
            raise Unavailable(f"{task}: {version} is being loaded. Try again in a moment.")
        reasons = "; ".join(f"{failed}: {failure.reason}" for failed, failure in held.failed.items())
        raise Unavailable(f"{task} cannot answer: none of its versions can be loaded here ({reasons}). Roll back.")

    def settled(self, task: str | None = None) -> bool:
        """Whether this task, or every task, answers as well as it can."""
        held = [self._held.get(task)] if task else list(self._held.values())
        return all(one is None or one.settled for one in held)

    def report(self) -> Heartbeat:
        """Return what the replica holds, by full task name."""
        with self._lock:
            return {task: held.report() for task, held in self._held.items()}

    def _sleeps(self, task: str) -> bool:
        """Whether a task without a model waits until it is asked for."""
        return self._full and task not in self._asked and not self._pinned(task)

    def _wake(self, task: str) -> None:
        with self._lock:
            held = self._held.get(task)
            if held is not None and held.asleep:
                self._held[task] = replace(held, asleep=False)

    def _make_room(self, loaded: str) -> None:
        """Drop versions for a rollback, then put tasks to sleep, until the models fit: the least recently asked first,
        the one just loaded last. One task stays, however large it is."""
        order = sorted(
            (task for task, held in self._held.items() if held.size and not self._pinned(task)),
            key=lambda task: (task in self._asked, task == loaded, self._asked.get(task, 0.0)),
        )
        used = sum(held.size for held in self._held.values())
        sleepy = small_last({task: self._held[task].size for task in order[:-1]}, self._room)
        for task, drop in [(one, self._without_previous) for one in order] + [(one, self._asleep) for one in sleepy]:
            if used <= self._room:
                break
            self._full = True
            before, self._held[task] = self._held[task], drop(self._held[task])
            used += self._held[task].size - before.size
        if self._full:
            self._let_sleep()

    def _let_sleep(self) -> None:
        """Let every task sleep that has no model and that nobody has asked for."""
        for task, held in list(self._held.items()):
            if not held.size and not held.asleep and self._sleeps(task):
                self._held[task] = self._asleep(held)

    @staticmethod
    def _without_previous(held: Held[M]) -> Held[M]:
        serving = held.serving.version if held.serving else None
        needed = {serving, held.aliases.candidate, held.aliases.current and held.aliases.current[0]}
        return replace(held, ready={version: model for version, model in held.ready.items() if version in needed})

    @staticmethod
    def _asleep(held: Held[M]) -> Held[M]:
        return Held(held.aliases, asleep=True)

    def _put(self, task: str, held: Held[M]) -> None:
        before = self._held.get(task)
        self._held[task] = turned = held.turned()
        if turned.serving and (before is None or before.serving is not turned.serving):
            log.info("%s serves %s (revision %d)", task, turned.serving.version, turned.serving.revision)

    def _due(self) -> tuple[str, str | None, float | None]:
        """Return task and version to load now, or the seconds until one is due."""
        now, wait = self._monotonic(), None
        best: tuple[tuple[int, bool, float], str, str] | None = None
        for task, held in self._held.items():
            for urgency, version in held.wanted():
                if urgency == _FOR_ROLLBACK and self._full:
                    continue
                rank = (urgency, not self._pinned(task), -self._asked.get(task, -inf))
                failure = held.failed.get(version)
                if failure is None or (failure.retry_at is not None and failure.retry_at <= now):
                    best = min(best or (rank, task, version), (rank, task, version))
                elif failure.retry_at is not None:
                    wait = min(wait or failure.retry_at - now, failure.retry_at - now)
        return (best[1], best[2], 0.0) if best else ("", None, wait)

    def _with(self, held: Held[M], task: str, version: str, outcome: Loaded[M] | Exception) -> Held[M]:
        others = {name: failure for name, failure in held.failed.items() if name != version}
        if not isinstance(outcome, Exception):
            return replace(held, ready={**held.ready, version: outcome}, failed=others)
        tries = held.failed[version].tries + 1 if version in held.failed else 1
        final = isinstance(outcome, IntegrityError)
        first, longest = _BACKOFF_S
        retry_at = None if final else self._monotonic() + min(first * 2 ** min(tries - 1, 16), longest)
        reason = str(outcome) if final else f"{type(outcome).__name__}: {outcome}"
        stays = f" {held.serving.version} goes on serving." if held.serving else ""
        unexpected = None if isinstance(outcome, TornioError) else outcome
        log.warning("%s: %s cannot be loaded (%s).%s", task, version, reason, stays, exc_info=unexpected)
        return replace(held, failed={**others, version: Failure(reason, tries, retry_at)})
