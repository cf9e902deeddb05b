"""What the measurements have in common: requests of a store, processor time, memory, and how a cost grows."""

from __future__ import annotations

import gc
import math
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from tornio.storage.memory import MemoryStore

CHEAP = frozenset({"get", "get_if_changed", "get_range", "head", "download"})
"""Operations of a store that cost as a GET. The others cost as a PUT; deleting is free."""
FREE = frozenset({"delete"})


class CountingStore(MemoryStore):
    """A store in memory that counts its requests by operation. Several may count together."""

    def __init__(self, asked: Counter[str]) -> None:
        super().__init__(before=lambda operation, _: asked.update((operation,)))

    def copy_of(self, other: MemoryStore) -> CountingStore:
        """Take all objects of another store, with the same ETags. The bytes are shared."""
        for info in other.list(""):
            self.put(info.key, other.get(info.key).body)
        return self

    def size(self, part: str = "") -> tuple[int, int]:
        """Return the number and the bytes of the objects whose key contains this."""
        sizes = [info.size for info in self.list("") if part in info.key]
        return len(sizes), sum(sizes)


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests of an object store, by what they cost."""

    puts: float
    gets: float

    @classmethod
    def of(cls, asked: Mapping[str, int], share: float = 1.0) -> Requests:
        gets = sum(count for operation, count in asked.items() if operation in CHEAP)
        paid = sum(count for operation, count in asked.items() if operation not in FREE)
        return cls((paid - gets) * share, gets * share)


@dataclass
class Spent:
    """Processor seconds of this process, and bytes that are still held at the end."""

    seconds: float = 0.0
    held: int = 0


@contextmanager
def spent() -> Iterator[Spent]:
    """Measure processor time."""
    found, began = Spent(), time.process_time()
    yield found
    found.seconds = time.process_time() - began


@contextmanager
def held() -> Iterator[Spent]:
    """Measure the memory of Python and Arrow. It makes Python several times as slow, so no time is measured."""
    found = Spent()
    gc.collect()
    arrow = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        yield found
        gc.collect()
        found.held = tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes() - arrow
    finally:
        tracemalloc.stop()


def exponent(costs: Mapping[int, float]) -> float:
    """Return the power of the size with which a cost grows between the two largest sizes."""
    (small, low), (large, high) = sorted(costs.items())[-2:]
    return math.log(high / low) / math.log(large / small)
