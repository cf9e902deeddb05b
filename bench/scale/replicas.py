"""Many tasks in a replica: the real shelf with models that take no time, and requests that prefer some tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.scale.measuring import spent
from services.classifier.shelf import Loaded, Shelf
from services.messages import Aliases
from tornio.errors import Unavailable

FEW_SHOT, FINE_TUNED = 50_000, 90_000_000
"""Bytes of a model: a few-shot head for 20 labels with its documents, and a MiniLM of its own in float32."""
EVERY = 10
"""One of so many tasks has a fine-tuned model."""


@dataclass(frozen=True)
class ShelfCosts:
    """``start_seconds``: processor seconds of the shelf alone until all that fits is loaded. ``loads``: versions that
    were loaded until then. ``cold``: share of the requests whose model had to be loaded first."""

    tasks: int
    room: int
    start_seconds: float
    loads: int
    cold: float
    awake: int


def sizes(count: int) -> Mapping[str, int]:
    return {f"bench/task{n:05d}": FINE_TUNED if n % EVERY == 0 else FEW_SHOT for n in range(count)}


def shelf_costs(count: int, room: int, requests: int) -> ShelfCosts:
    """Load all tasks, then ask for tasks by Zipf's law: the second of them half as often as the first, and so on."""
    of, seconds, loads = sizes(count), [0.0], [0]

    def load(task: str, version: str) -> Loaded[None]:
        loads[0] += 1
        return Loaded(None, of[task])

    shelf = Shelf(load, lambda: seconds[0], room)
    with spent() as starting:
        shelf.apply({task: Aliases(current=("v1", 1)) for task in of})
        while shelf.work() == 0.0:
            pass
    at_start, cold = loads[0], 0
    order = np.random.default_rng(0).permutation(list(of))
    weights = 1 / np.arange(1, count + 1)
    for task in np.random.default_rng(1).choice(order, requests, p=weights / weights.sum()):
        seconds[0] += 1.0
        try:
            shelf.serving(str(task))
        except Unavailable:
            cold += 1
            while shelf.work() == 0.0:
                pass
    awake = sum(not held.asleep for held in shelf.report().values())
    return ShelfCosts(count, room, starting.seconds, at_start, cold / requests, awake)
