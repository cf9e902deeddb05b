"""Live texts that come into the pools of tasks, as users' texts do: audited, and the controller hears of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.gateway.auditing import Auditor
from tornio.api import TaskName
from tornio.schemas.audit import Act
from tornio.spec import FeedbackSpec
from tornio.tasks import Chosen, Task, choose_live

WHO = "tornio feedback"
"""Who adds live texts, in the audit log."""


@dataclass
class StoreLiveTexts:
    """Implements ``LivePool``. ``open`` returns a task as it is now; ``blocking`` calls a function in a thread."""

    open: Callable[[TaskName], Task]
    blocking: Callable[..., Awaitable[Any]]
    nudge: Callable[[TaskName], None]
    audit: Auditor
    clock: Callable[[], datetime]

    async def policy(self, task: TaskName) -> FeedbackSpec | None:
        """Return what the task's spec says now. Raises NotFound, Unavailable."""
        opened: Task = await self.blocking(self.open, task)
        return opened.spec.feedback

    async def add(self, task: TaskName, texts: Sequence[str]) -> Mapping[str, int]:
        """Add texts, and return how many had each outcome. May be repeated. Raises NotFound, Unavailable.

        A spec that no longer has the section adds nothing.
        """
        opened: Task = await self.blocking(self.open, task)
        policy = opened.spec.feedback
        if policy is None:
            return {"switched-off": len(texts)}
        chosen: Chosen = await self.blocking(choose_live, opened, texts, policy.per_day, self.clock())
        outcome = {
            "added": 0,
            "known": chosen.known,
            "deleted": chosen.deleted,
            "refused": chosen.refused,
            "beyond-limit": chosen.beyond,
        }
        if not chosen.records:
            return outcome
        async with self.audit.act(Act.ADD_RECORDS, WHO, task, records=len(chosen.records)) as found:
            added = await self.blocking(lambda: opened.add_records(chosen.records, duplicates=False))
            found["added"] = added.added
        if added.added:
            self.nudge(task)
        outcome["added"] = added.added
        outcome["deleted"] += added.deleted
        outcome["known"] += len(chosen.records) - added.added - added.deleted
        return outcome
