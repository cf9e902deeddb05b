"""Limits of a single gateway, and what a gateway does while it cannot reach the others."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from services.limits.bucket import Bucket, draw, full
from services.limits.port import KeyLimits, too_fast, too_many


class LocalLimits:
    """Implements ``Limits`` in this process alone. ``now``: seconds, as `time.monotonic` counts them."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._buckets: dict[str, Bucket] = {}
        self._under_way = Counter[str]()

    @asynccontextmanager
    async def admitted(self, key: str, limits: KeyLimits, texts: int) -> AsyncIterator[None]:
        self.take(key, limits, texts, self._under_way[key])
        self._under_way[key] += 1
        try:
            yield
        finally:
            self._under_way[key] -= 1

    def take(self, key: str, limits: KeyLimits, texts: int, under_way: int, gateways: int = 1) -> None:
        """Take the texts of a request. Raises Throttled. ``gateways``: how many have to share the limits."""
        if limits.concurrent_requests is not None and under_way >= max(1, limits.concurrent_requests // gateways):
            raise too_many(key, limits)
        if limits.rate is None:
            return
        rate, now = limits.rate.shared(gateways), self._now()
        bucket, _, wait = draw(self._buckets.get(key) or full(rate, now), rate, texts, texts, now)
        self._buckets[key] = bucket
        if wait:
            raise too_fast(key, limits, texts, wait)
