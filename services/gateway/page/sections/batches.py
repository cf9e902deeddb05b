"""The open batches, and how fast each annotator answers."""

from __future__ import annotations

from dataclasses import dataclass

from services.gateway.page.gather import TaskPage
from tornio.api import Annotators, TaskStatus


@dataclass(frozen=True, slots=True)
class Batches:
    """``annotators``: None if the caller may not see them. ``unread``: why they could not be read.

    ``hour``, ``day``: answers of all of them in the last hour and in the last 24 hours.
    """

    status: TaskStatus
    annotators: Annotators | None
    unread: str | None
    hour: int
    day: int


def show(page: TaskPage) -> Batches:
    """Return the batches. Raises PartUnread."""
    found = page.annotators
    people = found.value.annotators if found.value else []
    return Batches(
        page.stands.get(),
        found.value,
        found.trouble,
        hour=sum(one.last_hour for one in people),
        day=sum(one.last_day for one in people),
    )
