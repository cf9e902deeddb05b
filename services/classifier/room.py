"""Which tasks sleep first when the models do not fit. Pure."""

from __future__ import annotations

from collections.abc import Mapping

SMALL = 0.001
"""Share of the room up to which a task's models are small. A few-shot version takes some kilobytes and a fine-tuned one
megabytes: thousands of the former would sleep to make room for one of the latter."""


def small_last(sizes: Mapping[str, int], room: float) -> list[str]:
    """Return the tasks in their order, but those with small models last.

    If the small ones take more than half of the room together, they are no exception. ``sizes``: bytes of each task's
    models.
    """
    small = {task for task, size in sizes.items() if size <= room * SMALL}
    if sum(sizes[task] for task in small) > room / 2:
        return list(sizes)
    return sorted(sizes, key=lambda task: task in small)
