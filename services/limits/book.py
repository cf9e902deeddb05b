"""The one place that all gateways ask: how many texts each key has left, and which gateway holds which requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from services.limits.bucket import Bucket, Rate, draw, full
from services.limits.port import Ask, Grant

GATEWAY_S = 10.0
"""Seconds after its last word for which a gateway counts, and keeps its requests. One with requests of a limited key
speaks every two seconds."""


class LimitBook:
    """Implements ``Lender`` in memory, for one thread. A new book is one in which nobody has asked for anything yet."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._buckets: dict[str, Bucket] = {}
        self._held: dict[str, dict[str, int]] = {}
        self._heard: dict[str, float] = {}

    async def lend(self, gateway: str, asks: Sequence[Ask]) -> Sequence[Grant]:
        """Return what each ask gets. Never waits."""
        self._heard[gateway] = self._now()
        self._forget()
        return [self._grant(gateway, ask) for ask in asks]

    def _grant(self, gateway: str, ask: Ask) -> Grant:
        held = self._hold(gateway, ask)
        if held < ask.held or ask.limits.rate is None:  # a request that must wait anyway takes no texts
            return Grant(0.0, 0.0, held, len(self._heard))
        taken, wait = self._draw(ask, ask.limits.rate)
        return Grant(taken, wait, held, len(self._heard))

    def _hold(self, gateway: str, ask: Ask) -> int:
        most = ask.limits.concurrent_requests
        if most is None:
            return ask.held
        holders = self._held.setdefault(ask.key, {})
        of_others = sum(count for name, count in holders.items() if name != gateway)
        holders[gateway] = max(0, min(ask.held, most - of_others))
        return holders[gateway]

    def _draw(self, ask: Ask, rate: Rate) -> tuple[float, float]:
        now = self._now()
        bucket = self._buckets.get(ask.key) or full(rate, now)
        self._buckets[ask.key], taken, wait = draw(bucket, rate, ask.least, ask.most, now)
        return taken, wait

    def _forget(self) -> None:
        """Forget gateways that have ended."""
        gone = [gateway for gateway, at in self._heard.items() if self._now() - at > GATEWAY_S]
        for gateway in gone:
            del self._heard[gateway]
            for holders in self._held.values():
                holders.pop(gateway, None)
