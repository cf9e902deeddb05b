"""Slows down whoever guesses API keys at the login."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from services.limits.bucket import Bucket, Rate, draw, full, refilled, wait_s
from tornio.errors import Throttled

FAILURES = Rate(per_second=1 / 6, burst=10.0)
"""Failed logins of one address: ten at once, and ten more a minute."""
MOST_ADDRESSES = 10_000


class Attempts:
    """Counts failed logins by the address that they come from, in this process. ``now``: as `time.monotonic` counts."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._buckets: dict[str, Bucket] = {}

    def check(self, address: str) -> None:
        """Raises Throttled for an address with too many failed logins."""
        bucket = self._buckets.get(address)
        if bucket is not None:
            wait = wait_s(refilled(bucket, FAILURES, self._now()), FAILURES, 1)
            if wait:
                raise Throttled(f"Too many failed logins. Try again in {math.ceil(wait)} s.", wait)

    def failed(self, address: str) -> None:
        """Count a failed login."""
        now = self._now()
        held = self._buckets.pop(address) if address in self._buckets else full(FAILURES, now)
        bucket, _, _ = draw(held, FAILURES, 1, 1, now)
        while len(self._buckets) >= MOST_ADDRESSES:
            del self._buckets[next(iter(self._buckets))]  # the one that failed longest ago
        self._buckets[address] = bucket
