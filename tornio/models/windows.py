"""Many texts as windows: what is held at a time is bounded, and the next window is read while one is worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WINDOW = 2048
"""Texts sorted by length and run together: enough that texts of equal length meet, few enough to be held."""


def windows(n: int, size: int = WINDOW) -> list[slice]:
    """The places 0 to n, in order, at most ``size`` at a time."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def one_ahead(work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """``work(item)`` of each item, in order; a thread works on the next while the caller has the last.

    It helps where the work lets other threads run (tokenizers does). A single item is worked on right here: a small
    call pays for no thread. What ``work`` raises is raised at its item's turn.
    """
    if len(items) < 2:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="one-ahead") as thread:
        coming = thread.submit(work, items[0])
        for item in items[1:]:
            done, coming = coming.result(), thread.submit(work, item)
            yield done
        yield coming.result()
