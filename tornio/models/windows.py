"""Process many texts in windows: memory is bounded, and the next window is read while the present one is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WINDOW = 2048
"""Texts that are sorted by length and run together: enough to find texts of equal length, few enough for memory."""


def windows(n: int, size: int = WINDOW) -> list[slice]:
    """Return slices that cover the positions 0 to n in order, at most ``size`` positions each."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def one_ahead(work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Yield ``work(item)`` for each item, in order. A thread works on the next item while the caller uses the last.

    This helps if the work releases the GIL, as tokenizers does. A single item is processed without a thread, so small
    calls do not pay for one. Exceptions of ``work`` are raised when their item is due.
    """
    if len(items) < 2:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="one-ahead") as thread:
        upcoming = thread.submit(work, items[0])
        for item in items[1:]:
            done, upcoming = upcoming.result(), thread.submit(work, item)
            yield done
        yield upcoming.result()
