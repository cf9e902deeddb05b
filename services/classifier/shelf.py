"""What a replica holds: for each task the model that serves and the models that may be next.

The shelf has no thread, clock or store of its own. ``apply`` sets the aliases, ``work`` loads one version at a time in
the thread that calls it, ``serving`` returns a reference that stays valid for as long as a caller holds it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Generic, TypeVar

from services.classifier.aliases import Known
from services.messages import Aliases, Heartbeat, HeldVersions
from tornio.errors import IntegrityError, NotFound, NotServable, TornioError, Unavailable

log = logging.getLogger(__name__)

M = TypeVar("M")

_BACKOFF_S = (1.0, 60.0)
"""First and longest wait, in seconds, before a version that could not be loaded for the moment is tried again."""


@dataclass(frozen=True, slots=True)
class Serving(Generic[M]):
    """A version, the revision of ``current`` under which it answers, and its model. All three are exchanged at once."""

    version: str
    revision: int
    model: M


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
    ready: Mapping[str, M] = field(default_factory=dict)
    failed: Mapping[str, Failure] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """Whether this task answers as well as it can: it serves, has nothing to serve, or has nothing that loads."""
        if self.serving or self.aliases.current is None:
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
            return Serving(version, revision, self.ready[version])
        if self.serving is None and version in self.failed and previous and previous in self.ready:
            # it served under the revision before: every move of the alias adds one
            return Serving(previous, revision - 1, self.ready[previous])
        return self.serving

    def wanted(self) -> Iterator[tuple[int, str]]:
        """Yield the versions that are not loaded, each with its urgency. 0 is the most urgent."""
        version = self.aliases.current[0] if self.aliases.current else None
        stranded = self.serving is None and version in self.failed
        order = ((0, version), (1 if stranded else 3, self.aliases.previous), (2, self.aliases.candidate))
        for urgency, name in order:
            if name is not None and name not in self.ready:
                yield urgency, name

    def report(self) -> HeldVersions:
        """Return what the heartbeat reports about this task."""
        return HeldVersions(
            serving=(self.serving.version, self.serving.revision) if self.serving else None,
            ready=tuple(sorted(self.ready)),
            failed={version: failure.reason for version, failure in sorted(self.failed.items())},
        )


class Shelf(Generic[M]):
    """Every task's ``current``, ``previous`` and ``candidate``, loaded in advance.

    ``load(task, version)`` returns a model that passed its checks: digests, probes, one prediction. Its
    IntegrityError is final while an alias names the version; after any other error it is tried again, less and less
    often. Thread-safe: ``work`` is for one thread, all other methods are for any.
    """

    def __init__(self, load: Callable[[str, str], M], monotonic: Callable[[], float]) -> None:
        self._load = load
        self._monotonic = monotonic
        self._held: dict[str, Held[M]] = {}
        self._lock = Lock()

    def apply(self, known: Known) -> None:
        """Set the aliases of all tasks. A loaded version that is now ``current`` serves when this returns."""
        with self._lock:
            for task in self._held.keys() - known.keys():
                log.info("%s was deleted. Its versions are dropped.", task)
                del self._held[task]
            for task, aliases in known.items():
                held = self._held.get(task)
                self._put(task, replace(held, aliases=aliases) if held else Held(aliases))

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
            outcome: M | Exception = self._load(task, version)
        except Exception as error:  # noqa: BLE001 - it is in the report, and the version is tried again
            outcome = error
        with self._lock:
            held = self._held.get(task)
            if held is not None and version in held.aliases.named:
                self._put(task, self._with(held, task, version, outcome))
        return 0.0

    def serving(self, task: str) -> Serving[M]:
        """Return what answers now.

        Raises NotFound for an unknown task, NotServable for a task without ``current``, Unavailable while ``current``
        is being loaded or if neither it nor its predecessor can be loaded.
        """
        held = self._held.get(task)
        if held is None:
            raise NotFound(f"The task {task} does not exist. Create it with `tornio apply`.")
        if held.serving is not None:
            return held.serving
        if held.aliases.current is None:
            raise NotServable(f"{task} has no current version yet. Label its first batch and let it train.")
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

    def _put(self, task: str, held: Held[M]) -> None:
        before = self._held.get(task)
        self._held[task] = turned = held.turned()
        if turned.serving and (before is None or before.serving is not turned.serving):
            log.info("%s serves %s (revision %d)", task, turned.serving.version, turned.serving.revision)

    def _due(self) -> tuple[str, str | None, float | None]:
        """Return task and version to load now, or the seconds until one is due."""
        now, wait = self._monotonic(), None
        best: tuple[int, str, str] | None = None
        for task, held in self._held.items():
            for urgency, version in held.wanted():
                failure = held.failed.get(version)
                if failure is None or (failure.retry_at is not None and failure.retry_at <= now):
                    best = min(best or (urgency, task, version), (urgency, task, version))
                elif failure.retry_at is not None:
                    wait = min(wait or failure.retry_at - now, failure.retry_at - now)
        return (best[1], best[2], 0.0) if best else ("", None, wait)

    def _with(self, held: Held[M], task: str, version: str, outcome: M | Exception) -> Held[M]:
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
