"""Live texts that a replica samples for the pools of tasks that want them: drawn and kept in memory, added later.

Nothing is drawn before the task's spec is known to want it, and nothing is added that it does not want any more.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from services import metrics
from services.background import Background
from services.classifier.redaction import CannotRedact, Redaction
from services.metrics import Meter
from tornio.api import TaskName
from tornio.errors import NotFound
from tornio.spec import FeedbackSpec

log = logging.getLogger(__name__)

LOOK_S = 60.0
"""Seconds between looks at the specs of tasks that were asked. A new task is sampled from the next look on."""
LOOKS = 10
"""Looks between additions to the pools: each addition is one more part of the pool, and parts cost."""
QUEUE = 256
"""Most texts of a task that wait. Each task has its own, so that a busy one leaves room for the others."""


class LivePool(Protocol):
    """The pools of tasks. Methods raise NotFound for an unknown task, and Unavailable."""

    async def policy(self, task: TaskName) -> FeedbackSpec | None:
        """Return what the task's spec says now."""

    async def add(self, task: TaskName, texts: Sequence[str]) -> Mapping[str, int]:
        """Add texts if the spec still wants them. Returns how many had each outcome. May be repeated."""


class Sampler:
    """Draws live texts. Everything here is for the event loop's thread.

    ``draw``: a number in [0, 1), for each text. Texts are not drawn by their digest: then the same texts would be
    drawn again and again and others never, and a client could know which.
    """

    def __init__(self, draw: Callable[[], float] = random.random, most: int = QUEUE) -> None:
        self._draw, self._most = draw, most
        self._policies: dict[str, FeedbackSpec] = {}
        self._asked: set[str] = set()
        self._drawn: dict[str, list[str]] = {}
        self._left_out: Counter[tuple[str, str]] = Counter()

    def offer(self, task: str, texts: Sequence[str]) -> None:
        """Draw from texts that were answered."""
        self._asked.add(task)
        policy = self._policies.get(task)
        if policy is None:
            return
        for text in texts:
            if self._draw() < policy.share:
                self._keep(task, text, policy)

    def _keep(self, task: str, text: str, policy: FeedbackSpec) -> None:
        waiting = self._drawn.setdefault(task, [])
        if len(text) > policy.longest:
            self._left_out[task, "too-long"] += 1
        elif len(waiting) >= self._most:
            self._left_out[task, "queue-full"] += 1
        else:
            waiting.append(text)

    def asked(self) -> set[str]:
        """Return the tasks that were asked since the last time."""
        asked, self._asked = self._asked, set()
        return asked

    def follow(self, task: str, policy: FeedbackSpec | None) -> None:
        """Draw by this from now on. None forgets what was drawn, too."""
        if policy is not None:
            self._policies[task] = policy
        else:
            self._policies.pop(task, None)
            self._drawn.pop(task, None)

    def take(self) -> dict[str, list[str]]:
        """Return what was drawn since the last time, by task."""
        drawn, self._drawn = self._drawn, {}
        return drawn

    def left_out(self) -> Mapping[tuple[str, str], int]:
        """Return how many drawn texts were left out since the last time, by task and reason."""
        left, self._left_out = self._left_out, Counter()
        return left


class Feedback:
    """Adds what was drawn to the pools, after redaction. What cannot be added waits, within the bound of a queue."""

    def __init__(self, sampler: Sampler, pool: LivePool, redaction: Redaction, meter: Meter, most: int = QUEUE) -> None:
        self._sampler, self._pool, self._redaction, self._meter = sampler, pool, redaction, meter
        self._most = most
        self._waiting: dict[str, list[str]] = {}
        """Texts that have passed the redaction."""
        self._background = Background("feedback", self._run, self.flush)

    def start(self) -> None:
        """Begin to look each minute."""
        self._background.start()

    async def stop(self) -> None:
        """End, after a last addition."""
        await self._background.stop()

    async def _run(self) -> None:
        while True:
            for _ in range(LOOKS):
                await asyncio.sleep(LOOK_S)
                await self.look()
            await self.flush()

    async def look(self) -> None:
        """Read what the specs say of the tasks that were asked since the last look. Raises nothing of the store."""
        for task in sorted(self._sampler.asked()):
            try:
                policy = await self._pool.policy(TaskName.parse(task))
            except NotFound:
                policy = None
            except Exception as error:  # noqa: BLE001 - after any error the next look is soon, and nothing is added
                log.warning("What %s says about feedback cannot be read: %s", task, error)
                continue
            self._sampler.follow(task, policy)
            if policy is None:
                self._waiting.pop(task, None)

    async def flush(self) -> None:
        """Redact what was drawn, and add it to the pools. Raises nothing of the store."""
        for task, texts in self._sampler.take().items():
            cleaned, outcome = await asyncio.to_thread(self._redact, texts)
            waiting = self._waiting.setdefault(task, [])
            room = max(0, self._most - len(waiting))
            waiting += cleaned[:room]
            outcome["queue-full"] += len(cleaned[room:])
            self._count(task, outcome)
        for task in list(self._waiting):
            await self._add(task)
        for (task, reason), count in self._sampler.left_out().items():
            self._count(task, {reason: count})

    async def _add(self, task: str) -> None:
        texts = self._waiting[task]
        try:
            outcome = await self._pool.add(TaskName.parse(task), texts) if texts else {}
        except NotFound:
            outcome = {"switched-off": len(texts)}
        except Exception as error:  # noqa: BLE001 - after any error the texts wait for the next time
            log.warning("%d live texts of %s could not be added and wait: %s", len(texts), task, error)
            return
        self._waiting.pop(task, None)
        self._count(task, outcome)

    def _redact(self, texts: Sequence[str]) -> tuple[list[str], Counter[str]]:
        cleaned, outcome = list[str](), Counter[str]()
        for text in texts:
            try:
                kept = self._redaction.clean(text)
            except CannotRedact:
                outcome["redaction-failed"] += 1
                continue
            if kept is None:
                outcome["redacted-away"] += 1
            else:
                cleaned.append(kept)
        return cleaned, outcome

    def _count(self, task: str, outcome: Mapping[str, int]) -> None:
        for name, count in outcome.items():
            if count:
                self._meter.record(metrics.LIVE_TEXTS, count, task=task, outcome=name)
