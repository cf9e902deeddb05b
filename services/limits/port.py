"""Limits of keys, as ports: what a gateway asks at each request, and what gateways share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from services.limits.bucket import Rate
from tornio.errors import Throttled

BURST_S = 10.0
"""Seconds of its rate that a key may use at once, if its burst is not set: enough for requests that come in bunches."""
HELD_S = 1.0
"""Seconds after which a request is worth another try that came while too many others were under way."""


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What one key may ask for. None is no limit."""

    texts_per_second: float | None = None
    burst_texts: int | None = None
    concurrent_requests: int | None = None

    @property
    def rate(self) -> Rate | None:
        if self.texts_per_second is None:
            return None
        return Rate(self.texts_per_second, self.burst_texts or max(1.0, self.texts_per_second * BURST_S))

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return self.texts_per_second is not None or self.concurrent_requests is not None


UNLIMITED = KeyLimits()


class Limits(Protocol):
    """The limits of keys in one gateway. ``key``: the name of a key."""

    def admitted(self, key: str, limits: KeyLimits, texts: int) -> AbstractAsyncContextManager[None]:
        """Count a request with this many texts, while the block runs, as under way. Raises Throttled at once."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a gateway wants for a key: ``least`` to ``most`` texts, and the right to ``held`` requests at a time."""

    key: str
    limits: KeyLimits
    least: float
    most: float
    held: int


@dataclass(frozen=True, slots=True)
class Grant:
    """``texts``: what the gateway may use; if it is none, ``wait_s`` are the seconds until the least is there.

    ``held``: requests that the gateway may have at a time, until it asks again. ``gateways``: how many there are.
    """

    texts: float
    wait_s: float
    held: int
    gateways: int


class Lender(Protocol):
    """The one place that all gateways ask. Raises Unavailable, soon."""

    async def lend(self, gateway: str, asks: Sequence[Ask]) -> Sequence[Grant]: ...


def too_fast(key: str, limits: KeyLimits, texts: int, wait: float) -> Throttled:
    """Return the error of a request that came before its texts were there."""
    rate = limits.rate
    assert rate is not None
    return Throttled(
        f"The key {key!r} may have {rate.per_second:g} texts a second predicted, and {rate.burst:g} at once. This "
        f"request has {texts:,}: send it again in {math.ceil(wait)} s. For more, ask the operator of this server.",
        wait,
    )


def too_many(key: str, limits: KeyLimits) -> Throttled:
    """Return the error of a request that came while too many others of its key were under way."""
    return Throttled(
        f"The key {key!r} may have {limits.concurrent_requests} requests for predictions under way at a time. Wait for "
        "some of them before you send more, and put more texts into one request.",
        HELD_S,
    )
