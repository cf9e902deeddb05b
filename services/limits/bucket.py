"""A token bucket that counts texts. Pure.

It fills with ``per_second`` up to ``burst``, and each text takes one. A request that is larger than the burst is
admitted when the bucket is full, and leaves a debt that later requests wait for. So within t seconds, a key gets at
most burst + per_second * t texts; the largest request counts in place of the burst if it is larger.
"""

from __future__ import annotations

from dataclasses import dataclass

_ROUNDING = 1e-6
"""Texts that may be missing for the inexactness of floats."""


@dataclass(frozen=True, slots=True)
class Rate:
    """``per_second``: texts. ``burst``: texts that may come at once after a pause. Both are positive."""

    per_second: float
    burst: float

    def shared(self, by: int) -> Rate:
        """Return the part of one of ``by`` gateways that cannot speak with each other."""
        return Rate(self.per_second / by, self.burst / by)


@dataclass(frozen=True, slots=True)
class Bucket:
    """``level``: texts that may be taken at the time ``at``, in seconds of a clock that never goes back. A debt is
    negative."""

    level: float
    at: float


def full(rate: Rate, now: float) -> Bucket:
    """Return the bucket of a key that has asked for nothing yet."""
    return Bucket(rate.burst, now)


def refilled(bucket: Bucket, rate: Rate, now: float) -> Bucket:
    """Return the bucket as it is now. ``rate`` may have changed meanwhile."""
    return Bucket(min(rate.burst, bucket.level + max(0.0, now - bucket.at) * rate.per_second), now)


def wait_s(bucket: Bucket, rate: Rate, texts: float) -> float:
    """Return the seconds until this many texts are admitted, 0 if they are now. No texts never wait."""
    if texts <= 0:
        return 0.0
    lacking = min(texts, rate.burst) - bucket.level
    return 0.0 if lacking <= _ROUNDING else lacking / rate.per_second


def draw(bucket: Bucket, rate: Rate, least: float, most: float, now: float) -> tuple[Bucket, float, float]:
    """Take ``least`` texts, and up to ``most`` if the bucket has them.

    Returns the bucket, the texts that were taken, and the seconds to wait if ``least`` is not there: then none are.
    """
    filled = refilled(bucket, rate, now)
    wait = wait_s(filled, rate, least)
    if wait > 0:
        return filled, 0.0, wait
    taken = max(least, min(most, filled.level))
    return Bucket(filled.level - taken, now), taken, 0.0
